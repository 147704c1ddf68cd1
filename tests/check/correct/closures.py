"""A closure for each parameter, made at its first gradient; its state is a dataclass over self.state[p]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Velocity:
    v: Tensor
    steps: int = 0


class ClassicalMomentum(torch.optim.Optimizer):
    """Classical momentum: v = mu v - lr g, w = w + v."""

    def __init__(self, params, lr: float = 0.01, momentum: float = 0.9, maximize: bool = False) -> None:
        if not lr >= 0 or not momentum >= 0:
            raise ValueError("lr and momentum must not be negative")
        super().__init__(params, {"lr": lr, "momentum": momentum, "maximize": maximize})

    def _stepper(self, p: Tensor, group: dict):
        sign = -1 if group["maximize"] else 1

        def go(lr: float, mu: float) -> None:
            state = Velocity(**self.state[p]) if self.state[p] else Velocity(torch.zeros_like(p))
            state.v.mul_(mu).add_(p.grad, alpha=-sign * lr)
            state.steps += 1
            p.add_(state.v)
            self.state[p] = vars(state)

        return go

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work = [
            (self._stepper(p, group), group)
            for group in self.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        for go, group in work:
            go(group["lr"], group["momentum"])
        return loss
