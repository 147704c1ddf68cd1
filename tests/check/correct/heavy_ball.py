"""Polyak's heavy ball, which remembers the parameters of the step before."""

import torch


class HeavyBall(torch.optim.Optimizer):
    def __init__(self, params, lr, beta=0.9):
        if lr < 0 or beta < 0:
            raise ValueError(f"lr={lr} and beta={beta} must not be negative")
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for x in group["params"]:
                if x.grad is None:
                    continue
                s = self.state[x]
                before = x.clone()
                x.sub_(x.grad, alpha=group["lr"])
                if "before" in s:
                    x.add_(before - s["before"], alpha=group["beta"])
                s["before"] = before
        return loss
