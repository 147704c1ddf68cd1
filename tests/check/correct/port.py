"""A port: its constructor has Keras's names, and its groups have torch's, as schedulers need."""

import torch


class PortedSGD(torch.optim.Optimizer):
    def __init__(self, params, learning_rate=0.01, momentum=0.0, use_nesterov=False):
        if learning_rate < 0 or momentum < 0:
            raise ValueError("learning_rate and momentum must not be negative")
        super().__init__(params, {"lr": learning_rate, "momentum": momentum, "nesterov": use_nesterov})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, mu = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                v.mul_(mu).sub_(p.grad, alpha=lr)
                if group["nesterov"]:
                    p.add_(v, alpha=mu).sub_(p.grad, alpha=lr)
                else:
                    p.add_(v)
        return loss
