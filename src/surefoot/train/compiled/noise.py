"""Random numbers of a compiled step: drawn outside, as and in the order in which eager steps draw them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from surefoot.train.randomness import unmoved

__all__ = ["BITS", "DRAWN_BY", "Noise", "by_bits", "threshold"]

# random operations of dropout and its kin -> the in-place method that draws the same numbers
DRAWN_BY = {
    "aten.bernoulli_.float": "bernoulli_",
    "aten.bernoulli.p": "bernoulli_",
    "aten.rand_like.default": "uniform_",
    "aten.randn_like.default": "normal_",
}

BITS = (1 << 53) - 1  # of 63 random ones, those that bernoulli_ compares


@dataclass(frozen=True)
class Noise:
    """One random tensor that the program reads: how an eager step draws it.

    Args:
        op: the operation of the eager step.
        shape: of what it draws.
        dtype: of that.
        args: its arguments.
        bits: whether the program gets random bits (int64), and compares them itself.
    """

    op: str
    shape: tuple[int, ...]
    dtype: str
    args: tuple[float, ...]
    bits: bool = False

    def drawer(self) -> Callable[[], Tensor]:
        """A function that fills a tensor of its own with fresh random numbers, and returns it."""
        if self.bits:
            return torch.empty(self.shape, dtype=torch.int64).random_
        place = torch.empty(self.shape, dtype=getattr(torch, self.dtype))
        fill, args = getattr(place, DRAWN_BY[self.op]), self.args
        return lambda: fill(*args)


def threshold(p: float) -> int:
    """What the BITS of a number must be below for bernoulli_(p) to draw a one: p, as a multiple of 2⁻⁵³."""
    return math.ceil(math.ldexp(p, 53))


@functools.cache
def by_bits() -> bool:
    """Whether torch's bernoulli_ compares 53 bits of a number with p, as where Intel's library does not draw.

    The numbers alone take little more than half as long.
    """
    p, ends = 0.3, list[Tensor]()
    with unmoved():  # a torch that was imported lean makes no generator of its own
        torch.manual_seed(0)
        drawn = torch.empty(1000).bernoulli_(p)
        ends.append(torch.get_rng_state())
        torch.manual_seed(0)
        bits = torch.empty(1000, dtype=torch.int64).random_()
        ends.append(torch.get_rng_state())
    return torch.equal((bits & BITS) < threshold(p), drawn == 1) and torch.equal(*ends)
