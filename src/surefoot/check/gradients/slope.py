"""One slope of a function of one number, by central differences, and autograd's number judged by it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

FIRST = (2.0**-13, 2.0**-15)  # tried first: near the best step for a smooth loss in float64
LADDER = tuple(
    2.0**-6 * 4.0**-k for k in range(12)
)  # 2e-2 … 4e-9, when the first two do not agree with autograd
WIDE = (2.0**-2, 2.0**-4)  # before those, where the loss is in float32
MEETING = 1e-3  # relative; one-sided slopes are known less well than central ones
TOLERANCE = 1e-5  # relative; far above what the ladder resolves, far below any mistake in a backward
UNIT = 2.0**-53

Verdict = Literal["right", "wrong", "kink", "jump", "unclear"]


@dataclass(frozen=True)
class Slope:
    """What autograd says of one slope and what the loss itself does.

    `index` is the element, or None for a random direction; `error` the estimated error of `numeric`, measured
    with `step`; `left` and `right` the slopes on either side; `aside`: it was measured a step from a kink;
    `bent`: from one step to a fourth of it, the slopes of the two sides come no nearer to each other.
    """

    index: tuple[int, ...] | None
    autograd: float
    numeric: float
    error: float
    step: float
    left: float
    right: float
    verdict: Verdict
    aside: bool = False
    bent: bool = False

    @property
    def off(self) -> float:
        """How far autograd is from the slope measured."""
        off = abs(self.autograd - self.numeric)
        return math.inf if math.isnan(off) else off

    @property
    def meets(self) -> bool:
        """Whether the slopes of the two sides are one, so that there is no kink."""
        size = max(abs(self.left), abs(self.right), abs(self.autograd))
        return not self.bent or abs(self.right - self.left) <= 8 * self.error + MEETING * size


@dataclass(frozen=True)
class _Rung:
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


@dataclass(frozen=True)
class _Pair:
    """Two steps, h and h/4: Richardson's extrapolation takes away the leading error of each difference."""

    coarse: _Rung
    fine: _Rung
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
        return abs(self.slope - self.fine.central) + self.rounding

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
        return abs(autograd - self.slope) <= 4 * self.error + TOLERANCE * max(abs(autograd), abs(self.slope))

    def resolves(self, autograd: float, size: float) -> bool:
        """Whether the error is small enough for agreement to mean something."""
        return self.error <= resolution(self.unit) * max(abs(autograd), abs(self.slope), size)


def resolution(unit: float) -> float:
    """How well a slope must be known for agreement to mean something, as a share of its size.

    In float32 slopes are known less well; a hundredth is still far below any mistake in a backward.
    """
    return 1e-3 if unit == UNIT else 1e-2


def measure(
    loss: Callable[[float], float],
    autograd: float,
    *,
    scale: float = 1.0,
    size: float = 0.0,
    noise: float | None = None,
    unit: float = UNIT,
    index: tuple[int, ...] | None = None,
) -> Slope:
    """Measure the slope of `loss` at 0 and judge autograd's number by it.

    slope ≈ (16·D(h/4) − D(h)) / 15, where D(h) = (loss(h) − loss(−h)) / 2h

    Args:
        loss: the loss after a move by t.
        autograd: the slope that autograd gives.
        scale: size of the number that is moved; the steps are multiples of it.
        size: what counts as a slope of ordinary size here; errors far below it do not matter.
        noise: rounding error of one evaluation; four units of the loss if not measured.
        unit: unit roundoff of what the loss is computed in.
        index: handed on to the Slope.

    Returns:
        Slope: with its verdict: right, wrong, kink, jump, or unclear when the noise hides the answer.

    Example:
        >>> measure(lambda t: (3 + t) ** 2, 6.0).verdict
        'right'
        >>> measure(lambda t: (3 + t) ** 2, -6.0).verdict
        'wrong'
        >>> measure(lambda t: max(t, 0.0), 0.0).verdict
        'kink'
    """
    middle = loss(0.0)
    shake = max(4 * UNIT * abs(middle), noise or 0.0)
    ladder = LADDER if unit == UNIT else (*WIDE, *LADDER)

    def rung(h: float) -> _Rung:
        return _Rung(h * scale, loss(h * scale), middle, loss(-h * scale))

    pair = _Pair(rung(FIRST[0]), rung(FIRST[1]), shake, unit)
    verdict: Verdict = "right"
    if unit != UNIT or not (pair.agrees(autograd) and pair.resolves(autograd, size)):
        # beside a large loss, a slope of 0 is one that is lost in its noise
        size = max(size, TOLERANCE * abs(middle) / scale)
        rungs = [rung(h) for h in ladder]
        pair = min((_Pair(a, b, shake, unit) for a, b in itertools.pairwise(rungs)), key=lambda p: p.error)
        verdict = _judge(autograd, pair, rungs, size)
    found = Slope(
        index, autograd, pair.slope, pair.error, pair.fine.h, pair.left, pair.right, verdict, bent=pair.bent
    )
    # as at the tip of |x|, where autograd's 0 is the mean of both sides
    return replace(found, verdict="kink") if verdict == "right" and not found.meets else found


def _judge(autograd: float, pair: _Pair, rungs: list[_Rung], size: float) -> Verdict:
    near = [r.jump for r in rungs[-4:]]
    if min(near) > 0.99 * max(near) and min(near) > 1e-6 * abs(rungs[0].middle):
        return "jump"  # 64 times closer, and the loss differs by as much
    if pair.agrees(autograd):
        return "right" if pair.resolves(autograd, size) else "unclear"
    gap, off = abs(pair.right - pair.left), abs(autograd - pair.slope)
    if gap > 8 * pair.rounding and gap > off / 10:
        return "kink"  # the slopes of the two sides do not meet, and by enough to explain autograd's number
    return "wrong"
