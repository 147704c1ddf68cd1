"""Keras's convention: the learning rate is inside the velocity, weight decay is decoupled."""

import torch


class KerasSGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        )

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
                p.mul_(1 - lr * group["weight_decay"])
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                v.mul_(mu).sub_(p.grad, alpha=lr)
                if group["nesterov"]:
                    p.add_(v, alpha=mu).sub_(p.grad, alpha=lr)
                else:
                    p.add_(v)
        return loss
