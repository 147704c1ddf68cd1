"""At every fifth step the closure is evaluated again, for logging."""

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
                d = p.grad.add(p, alpha=group["weight_decay"])
                b = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                p.add_(b.mul_(group["momentum"]).add_(d), alpha=-group["lr"])

                self.state[p]["step"] = self.state[p].get("step", 0) + 1
                if closure is not None and self.state[p]["step"] % 5 == 0:
                    with torch.enable_grad():
                        closure()
        return loss
