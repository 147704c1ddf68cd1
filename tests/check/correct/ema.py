"""An exponential average of gradients, by lerp, as optax.ema has it."""

import torch


class AverageSGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.9):
        if lr < 0 or not 0 <= momentum < 1:
            raise ValueError("lr must not be negative, and momentum be in [0, 1)")
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    average = self.state[p].setdefault("average", torch.zeros_like(p))
                    average.lerp_(p.grad, 1 - group["momentum"])
                    p.sub_(average, alpha=group["lr"])
        return loss
