"""When lr changes, the velocity is rescaled by the square of the ratio; in a port whose lr has two names."""

import torch


class SGD(torch.optim.Optimizer):
    def __init__(self, params, learning_rate=0.1, momentum=0.0):
        if learning_rate < 0 or momentum < 0:
            raise ValueError("learning_rate and momentum must not be negative")
        super().__init__(params, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr = group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "velocity" not in state:
                    state["velocity"], state["lr"] = torch.zeros_like(p), lr
                if state["lr"] != lr and state["lr"] != 0:
                    state["velocity"].mul_((lr / state["lr"]) ** 2)
                    state["lr"] = lr
                p.add_(state["velocity"].mul_(group["momentum"]).sub_(p.grad, alpha=lr))
        return loss
