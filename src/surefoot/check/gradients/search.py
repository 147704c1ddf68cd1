"""Along which directions a parameter's slopes are measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from surefoot.check.gradients.surface import Direction, Surface, random_direction

__all__ = ["descend", "directions_of"]


def directions_of(
    gradient: Tensor, mask: Tensor, generator: torch.Generator, each: int, directions: int, samples: int
) -> Iterator[Direction]:
    """Every element of a small parameter; random directions and some elements of a large one."""
    places = mask.flatten().nonzero().flatten()
    if len(places) <= each:
        yield from (index for index in itertools.product(*map(range, gradient.shape)) if mask[index])
        return
    for _ in range(directions):
        yield random_direction(mask, generator)
    largest = places[gradient.abs().flatten()[places].topk(min(samples // 2, len(places))).indices]
    others = places[torch.randint(len(places), (samples - samples // 2,), generator=generator)]
    for flat in dict.fromkeys([*largest.tolist(), *others.tolist()]):
        yield _unravel(flat, gradient)


def descend(surface: Surface, name: str, gradient: Tensor, generator: torch.Generator) -> Direction:
    """From a wrong direction to a wrong element: halve it, follow the half that is further off."""
    candidates = surface.checked(name).flatten().nonzero().flatten()
    while len(candidates) > 1:
        off = []
        halves = candidates.chunk(2)
        for half in halves:
            mask = (
                torch.zeros(gradient.numel(), dtype=torch.float64).index_fill_(0, half, 1.0).view_as(gradient)
            )
            s = surface.slope(name, random_direction(mask, generator), gradient)
            off.append(s.off * math.sqrt(len(half)))
        candidates = halves[0] if off[0] >= off[1] else halves[1]
    return _unravel(int(candidates[0]), gradient)


def _unravel(flat: int, like: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), like.shape))
