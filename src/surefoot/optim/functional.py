"""SGD's update as a pure function of tensors: what a compiled training step contains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["sgd"]


def sgd(
    w: Tensor, g: Tensor, b: Tensor | None, lr: Tensor, momentum: Tensor, options: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """One step of SGD after the first, out of place.

    d = ±g + weight_decay·w;  b ← momentum·b + (1 − dampening)·d;  w ← w − lr·b, or w − lr·(d + momentum·b)

    Written `w − lr·d`, not `add(d, alpha=−lr)`: torch 2.13's compiler drops alpha after a matrix product.

    Args:
        w: the parameter.
        g: its gradient, same shape.
        b: its momentum buffer, same shape; None without momentum.
        lr: learning rate, a one-element tensor, so that a compiled program outlives its changes.
        momentum: likewise; not read where `b` is None.
        options: the group's dampening, weight_decay, nesterov, maximize and decoupled_weight_decay.

    Returns:
        The new parameter and the new buffer.
    """
    d = -g if options["maximize"] else g
    if options["weight_decay"] != 0:
        if options["decoupled_weight_decay"]:
            w = w * (1 - lr * options["weight_decay"])
        else:
            d = d + options["weight_decay"] * w
    if b is not None:
        b = momentum * b + (1 - options["dampening"]) * d
        d = d + momentum * b if options["nesterov"] else b
    return w - lr * d, b
