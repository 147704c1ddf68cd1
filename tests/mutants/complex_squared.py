"""A complex gradient is squared as a complex number (pytorch 59998)."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, eps=1e-8):
        if lr < 0 or eps < 0:
            raise ValueError("lr and eps must not be negative")
        super().__init__(params, {"lr": lr, "eps": eps})

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
                d = p.grad
                state = self.state[p]
                if "square" not in state:
                    state["square"] = torch.zeros_like(p)
                state["square"].add_(d * d)
                p.sub_(group["lr"] * d / (state["square"].sqrt() + group["eps"]))
        return loss
