"""TensorFlow's MomentumOptimizer, in its own words: learning_rate, accum, use_nesterov."""

import torch


class MomentumOptimizer(torch.optim.Optimizer):
    def __init__(self, params, learning_rate=0.01, momentum=0.9, use_nesterov=False):
        if learning_rate < 0:
            raise ValueError(f"learning_rate={learning_rate} must not be negative")
        if momentum < 0:
            raise ValueError(f"momentum={momentum} must not be negative")
        super().__init__(
            params, {"learning_rate": learning_rate, "momentum": momentum, "use_nesterov": use_nesterov}
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, mu = group["learning_rate"], group["momentum"]
            for var in group["params"]:
                grad = var.grad
                if grad is None:
                    continue
                state = self.state[var]
                if "accum" not in state:
                    state["accum"] = torch.zeros_like(var)
                accum = state["accum"]
                accum.mul_(mu).add_(grad)
                if group["use_nesterov"]:
                    var.sub_(lr * grad + lr * mu * accum)
                else:
                    var.sub_(lr * accum)
        return loss
