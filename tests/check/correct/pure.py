"""Functions of dicts, as in JAX: (params, grads, state) to new (params, state), copied in at the end."""

from typing import NamedTuple

import torch


class Hyper(NamedTuple):
    lr: float
    beta: float
    weight_decay: float


def init(params):
    return {k: torch.zeros_like(p) for k, p in params.items()}


def update(params, grads, trace, h: Hyper):
    grads = {k: g + h.weight_decay * params[k] for k, g in grads.items()}
    trace = {k: h.beta * trace[k] + g for k, g in grads.items()}
    return {k: params[k] - h.lr * trace[k] for k in params}, trace


class FunctionalSGD(torch.optim.Optimizer):
    """SGD with a momentum trace, optax's way."""

    def __init__(self, params, lr=0.1, beta=0.9, weight_decay=0.0):
        if not (lr >= 0 and 0 <= beta < 1 and weight_decay >= 0):
            raise ValueError("a hyperparameter is outside its domain")
        super().__init__(params, {"lr": lr, "beta": beta, "weight_decay": weight_decay})

    def step(self, closure=None):
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                h = Hyper(group["lr"], group["beta"], group["weight_decay"])
                live = {i: p for i, p in enumerate(group["params"]) if p.grad is not None}
                zeros = init(live)
                trace = {i: self.state[p].get("trace", zeros[i]) for i, p in live.items()}
                new, trace = update(live, {i: p.grad for i, p in live.items()}, trace, h)
                for i, p in live.items():
                    p.copy_(new[i])
                    self.state[p]["trace"] = trace[i]
        return loss
