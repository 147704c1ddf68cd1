"""The rounding noise of a loss, measured."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from surefoot.check.gradients.pair import UNIT

__all__ = ["noise_of"]

_FIRST, _NEAREST, _WIDEST = 2.0**-20, 2.0**-44, 2.0**-9


def noise_of(loss: Callable[[float], float], scale: float, unit: float) -> float:
    """Rounding noise of one evaluation: fourth differences, over steps too small to see more.

    In float32 such steps may move nothing at all, so they grow there until they do; and no noise is
    taken to be below one rounding of the loss. A kink at this very point is seen over any step, though less
    over a smaller one, as noise is not: so steps shrink as long as the differences do.

    Args:
        loss: the loss after a move by t along some direction.
        scale: size of the numbers that are moved.
        unit: unit roundoff of what the loss is computed in.

    Source: Moré and Wild, Estimating Computational Noise (2011), section 3.
    """

    def values(h: float) -> list[float]:
        return [loss(k * h * scale) for k in range(-3, 4)]

    h = _FIRST
    seen = values(h)
    while unit != UNIT and len(set(seen)) <= 3 and h <= _WIDEST:
        h *= 8
        seen = values(h)
    noise = _fourth(seen)
    while h > _NEAREST and noise > 4 * UNIT * abs(seen[3]):
        h /= 256
        nearer = values(h)
        if len(set(nearer)) <= 3 or not _fourth(nearer) < noise / 16:
            break
        noise = _fourth(nearer)
    return max(noise, 0.0 if unit == UNIT else unit * abs(seen[3]))


def _fourth(values: list[float]) -> float:
    fourth = torch.tensor(values, dtype=torch.float64).diff(n=4)
    size = fourth.abs().max()  # whose square may be beyond all floats
    return ((fourth / (size or 1)).square().mean() / math.comb(8, 4)).sqrt().item() * size.item()
