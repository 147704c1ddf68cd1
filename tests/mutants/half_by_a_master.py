"""Half precision uses a float32 master copy, which ignores outside changes and is rounded by loading."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

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
                state = self.state[p]
                w = p
                if p.dtype.itemsize < 4:
                    w = state.setdefault("master", p.float())
                d = p.grad.to(w.dtype).add(w, alpha=group["weight_decay"])
                b = state.setdefault("momentum_buffer", torch.zeros_like(w))
                w.add_(b.mul_(group["momentum"]).add_(d), alpha=-group["lr"])
                p.copy_(w)
        return loss
