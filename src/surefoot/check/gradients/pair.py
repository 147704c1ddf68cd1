"""Differences of a loss over two steps, and what they say together: a slope, its error, a kink."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TOLERANCE", "UNIT", "Pair", "Rung", "resolution"]

TOLERANCE = 1e-5  # relative; far above what the ladder resolves, far below any mistake in a backward
UNIT = 2.0**-53


@dataclass(frozen=True)
class Rung:
    """The loss one step to either side."""

    h: float
    up: float
    middle: float
    down: float

    @property
    def central(self) -> float:
        return (self.up - self.down) / (2 * self.h)

    @property
    def right(self) -> float:
        return (self.up - self.middle) / self.h

    @property
    def left(self) -> float:
        return (self.middle - self.down) / self.h

    @property
    def jump(self) -> float:
        return max(abs(self.up - self.middle), abs(self.middle - self.down))

    @property
    def flat(self) -> bool:
        return self.up == self.middle == self.down


@dataclass(frozen=True)
class Pair:
    """Two steps, h and h/4: Richardson's extrapolation takes away the leading error of each difference."""

    coarse: Rung
    fine: Rung
    noise: float
    unit: float

    @property
    def slope(self) -> float:
        return (16 * self.fine.central - self.coarse.central) / 15

    @property
    def rounding(self) -> float:
        return 2 * self.noise / self.fine.h

    @property
    def error(self) -> float:
        # the extrapolation's correction bounds what it leaves, for a smooth loss
        error = abs(self.slope - self.fine.central) + self.rounding
        return error if math.isfinite(error) else math.inf  # a step out of where the loss is defined

    @property
    def left(self) -> float:
        return (4 * self.fine.left - self.coarse.left) / 3

    @property
    def right(self) -> float:
        return (4 * self.fine.right - self.coarse.right) / 3

    @property
    def bent(self) -> bool:
        """Whether the sides' slopes part as far at the fine step; of a smooth loss they do by a fourth."""
        return abs(self.fine.right - self.fine.left) > 0.75 * abs(self.coarse.right - self.coarse.left)

    def agrees(self, autograd: float) -> bool:
        if not math.isfinite(autograd):
            return False  # an infinite tolerance would let infinity pass
        return abs(autograd - self.slope) <= 4 * self.error + TOLERANCE * max(abs(autograd), abs(self.slope))

    def resolves(self, autograd: float, size: float) -> bool:
        """Whether the error is small enough for agreement to mean something."""
        # at the tip of |x| the slope is 0, and those of its sides say what is large
        tip = self.bent and abs(self.right - self.left) > 8 * self.rounding
        sides = max(abs(self.left), abs(self.right)) if tip else 0.0
        known = max(abs(autograd), abs(self.slope), size, sides)
        return math.isfinite(self.error) and self.error <= resolution(self.unit) * known

    def meets(self, other: Pair) -> bool:
        """Whether both may be right of one slope."""
        return abs(self.slope - other.slope) <= self.error + other.error


def resolution(unit: float) -> float:
    """How well a slope must be known for agreement to mean something, as a share of its size.

    In float32 slopes are known less well; a hundredth is still far below any mistake in a backward.
    """
    return 1e-3 if unit == UNIT else 1e-2
