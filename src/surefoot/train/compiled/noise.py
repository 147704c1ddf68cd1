"""Random numbers of a compiled step: drawn outside, as and in the order in which eager steps draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DRAWN_BY", "Noise"]

# random operations of dropout and its kin -> the in-place method that draws the same numbers
DRAWN_BY = {
    "aten.bernoulli_.float": "bernoulli_",
    "aten.bernoulli.p": "bernoulli_",
    "aten.rand_like.default": "uniform_",
    "aten.randn_like.default": "normal_",
}


@dataclass(frozen=True)
class Noise:
    """One random tensor that the program reads: how an eager step draws it."""

    op: str
    shape: tuple[int, ...]
    dtype: str
    args: tuple[float, ...]

    def drawer(self) -> Callable[[], Tensor]:
        """A function that fills a tensor of its own with fresh random numbers, and returns it."""
        place = torch.empty(self.shape, dtype=getattr(torch, self.dtype))
        fill, args = getattr(place, DRAWN_BY[self.op]), self.args
        return lambda: fill(*args)
