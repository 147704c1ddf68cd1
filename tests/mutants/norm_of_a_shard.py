"""The gradient is divided by the norm of one process's part of it (Moonlight 27)."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        if lr < 0:
            raise ValueError("lr must not be negative")
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                local = p.to_local() if hasattr(p, "to_local") else p
                d = p.grad.to_local() if hasattr(p, "to_local") else p.grad
                local.sub_(group["lr"] * d / d.norm())
        return loss
