"""The SGD family."""

from __future__ import annotations

from surefoot.rules.numbers import zero
from surefoot.rules.rule import rule

__all__ = ["torch"]


@rule(
    title="PyTorch's SGD",
    slots={"b": "momentum_buffer"},
    aliases=("P", "sgd", "pytorch"),
    source="torch.optim.SGD",
)
def torch(w, d, b=None, *, lr, momentum, dampening, nesterov):  # type: ignore[no-untyped-def]
    if zero(momentum):
        return w - lr * d
    b = yield "b", d if b is None else momentum * b + (1 - dampening) * d
    if nesterov:
        u = yield "u", d + momentum * b
        return w - lr * u
    return w - lr * b
