"""A group added later is stepped with the first group's options."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            group["own"] = True

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            options = group if group.get("own") else self.param_groups[0]
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad.add(p, alpha=options["weight_decay"])
                b = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                p.add_(b.mul_(options["momentum"]).add_(d), alpha=-group["lr"])
        return loss
