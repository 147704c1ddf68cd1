"""A pure function of (w, g, b), in out-of-place arithmetic; the optimizer only carries its results over."""

import torch


def sgd(w, g, b, lr, mu, tau, decay):
    d = g + decay * w
    if mu == 0:
        return w - lr * d, None
    b = d if b is None else mu * b + (1 - tau) * d
    return w - lr * b, b


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        if lr < 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay must not be negative")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            h = group["lr"], group["momentum"], group["dampening"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    w, b = sgd(p, p.grad.clone(), state.get("momentum_buffer"), *h)
                    p.copy_(w)
                    if b is not None:
                        state["momentum_buffer"] = b
        return loss
