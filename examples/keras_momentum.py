"""Momentum as Keras means it: the learning rate is inside the velocity.

`surefoot identify examples/keras_momentum.py:SGD --option momentum=0.9` reads that off from what it does.
"""

import torch


class SGD(torch.optim.Optimizer):
    """v = μ·v − γ·g, then w += v."""

    def __init__(self, params, lr=0.01, momentum=0.0):
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
                    v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                    v.mul_(group["momentum"]).sub_(p.grad, alpha=group["lr"])
                    p.add_(v)
        return loss


if __name__ == "__main__":
    import surefoot

    found = surefoot.identify(SGD, options={"lr": 0.25, "momentum": 0.9})
    print(found)
    assert found.rule.name == "keras"
    assert found["learning rate"] == "inside the buffer"
