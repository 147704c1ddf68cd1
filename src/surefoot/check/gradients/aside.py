"""A step aside of a surface: away from a kink, or to see what is rounding alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from surefoot.check.gradients.surface import Surface, cells_of, largest
from surefoot.errors import InputError

__all__ = ["rounded", "step_aside"]


def step_aside(surface: Surface, names: Iterable[str], generator: torch.Generator) -> bool:
    """Move these leaves a little, at random, away from kinks that come of exact zeros.

    Up or down alone where the loss is not defined there, as of a root; the parameters alone where no step
    of the inputs is; False if it is nowhere.
    """
    moved = {n: surface.leaves[n] for n in names}
    sizes = {n: cells_of(p.detach()).abs() + 1 for n, p in moved.items()}
    away = {n: (_random(s, generator) - 0.5) * 2.0**-6 * s for n, s in sizes.items()}
    ways = [away, {n: a.abs() for n, a in away.items()}, {n: -a.abs() for n, a in away.items()}]
    if not moved.keys() <= surface.parameters.keys():
        ways += [{n: a for n, a in way.items() if n in surface.parameters} for way in ways]
    for way in filter(None, ways):
        before = _move(surface, way)
        if math.isfinite(_value_or_nan(surface)):
            surface.origin = before
            surface.measure_noise()
            return True
        _put_back(surface, before)
    return False


def rounded(
    surface: Surface, names: Iterable[str], gradients: dict[str, Tensor], generator: torch.Generator
) -> set[str]:
    """Leaves whose gradient is rounding alone: zero, or another one altogether next to here."""
    moved = {n: surface.leaves[n] for n in names}
    drift = dict.fromkeys(gradients, 0.0)
    for _ in range(3):
        sizes = {n: cells_of(p.detach()).abs() + 1 for n, p in moved.items()}
        before = _move(surface, {n: (_random(s, generator) - 0.5) * 2.0**-20 * s for n, s in sizes.items()})
        if math.isfinite(_value_or_nan(surface)):
            for n, g in surface.gradients().items():
                drift[n] = max(drift[n], largest(g - gradients[n]))
        _put_back(surface, before)
    return {n for n, g in gradients.items() if g.isfinite().all() and drift[n] >= largest(g) / 8}


def _value_or_nan(surface: Surface) -> float:
    try:
        return surface.value()
    except InputError:
        if not surface.inputs:
            raise
        return math.nan


def _move(surface: Surface, away: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move all that is named; and where it was."""
    before = {n: surface.leaves[n].detach().clone() for n in away}
    for n, a in away.items():
        cells_of(surface.leaves[n].detach()).add_(a)
    return before


def _put_back(surface: Surface, before: dict[str, Tensor]) -> None:
    for n, b in before.items():
        surface.leaves[n].detach().copy_(b)


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=torch.float64)
