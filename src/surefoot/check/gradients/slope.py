"""One slope of a function of one number, by central differences, and autograd's number judged by it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from surefoot.check.gradients.pair import TOLERANCE, UNIT, Pair, Rung, resolution

__all__ = ["Slope", "Verdict", "measure"]

FIRST = (2.0**-13, 2.0**-15)  # tried first: near the best step for a smooth loss in float64
LADDER = tuple(
    2.0**-6 * 4.0**-k for k in range(12)
)  # 2e-2 … 4e-9, when the first two do not agree with autograd
WIDE = (2.0**-2, 2.0**-4)  # before those, where the loss is in float32
WIDER = (2.0**-4, 2.0**-2, 1.0, 4.0)  # where noise hides a slope; beyond, θ + h itself is rounded as much
MEETING = 1e-3  # relative; one-sided slopes are known less well than central ones

Verdict = Literal["right", "wrong", "kink", "jump", "unclear"]


@dataclass(frozen=True)
class Slope:
    """What autograd says of one slope and what the loss itself does.

    `index` is the element, or None for a random direction; `error` the estimated error of `numeric`, measured
    with `step`; `left` and `right` the slopes on either side, NaN where the loss is not defined, infinite
    where they grow as steps shrink; `aside`: it was measured a step from a kink or a minimum; `bent`: from
    one step to a fourth of it, the slopes of the two sides come no nearer to each other.
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
    def agrees(self) -> bool:
        """Whether autograd may be right, by what is known of the slope."""
        size = max(abs(self.autograd), abs(self.numeric))
        return self.off <= 4 * self.error + TOLERANCE * size

    @property
    def zero(self) -> bool:
        """Whether neither number is known to differ from 0."""
        return max(abs(self.autograd), abs(self.numeric)) <= 4 * (1 + TOLERANCE) * self.error

    @property
    def steep(self) -> bool:
        """Whether the slope of a side grows without a limit."""
        return math.isinf(self.left) or math.isinf(self.right)

    @property
    def meets(self) -> bool:
        """Whether the slopes of the two sides are one, so that there is no kink."""
        if self.steep:
            return self.left == self.right
        size = max(abs(self.left), abs(self.right), abs(self.autograd))
        return not self.bent or abs(self.right - self.left) <= 8 * self.error + MEETING * size

    @property
    def lost(self) -> bool:
        """Whether autograd agrees with it, but within a noise that is as large as itself."""
        return self.verdict == "unclear" and not self.singular and self.agrees

    @property
    def singular(self) -> bool:
        """Whether the loss has no slope: it is not defined on one side, or infinitely steep."""
        return not math.isfinite(self.numeric)

    @property
    def steepest(self) -> float:
        """The largest number here that is a slope."""
        return max((abs(s) for s in (self.autograd, self.left, self.right) if math.isfinite(s)), default=0.0)


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

    def rung(h: float) -> Rung:
        return Rung(h * scale, loss(h * scale), middle, loss(-h * scale))

    pair = wide = Pair(rung(FIRST[0]), rung(FIRST[1]), shake, unit)
    verdict: Verdict = "right"
    sides = pair.left, pair.right
    if unit != UNIT or not (pair.agrees(autograd) and pair.resolves(autograd, size)):
        rungs = [rung(h) for h in ladder]
        pair = wide = min(
            (Pair(a, b, shake, unit) for a, b in itertools.pairwise(rungs)), key=lambda p: p.error
        )
        if found := _singular(index, autograd, pair, rungs):
            return found
        sides, verdict = _limits(pair, rungs), _judge(autograd, pair, rungs, size)
        if verdict == "unclear":
            wide, rungs = _widened(pair, rungs, (rung(h) for h in WIDER if h > ladder[0]))
            still = autograd == 0 and all(r.flat for r in rungs)  # it does not move at all
            known = wide.error <= resolution(unit) * max(abs(autograd), abs(wide.slope), size)
            verdict = "right" if still or (known and wide.agrees(autograd)) else "unclear"
    found = Slope(
        index, autograd, wide.slope, wide.error, wide.fine.h, *sides, verdict, bent=pair.bent and wide is pair
    )
    # as at the tip of |x|, where autograd's 0 is the mean of both sides
    return replace(found, verdict="kink") if verdict == "right" and not found.meets else found


def _judge(autograd: float, pair: Pair, rungs: list[Rung], size: float) -> Verdict:
    near = [r.jump for r in rungs[-4:]]
    if min(near) > 0.99 * max(near) and min(near) > 1e-6 * abs(rungs[0].middle):
        return "jump"  # 64 times closer, and the loss differs by as much
    if pair.agrees(autograd):
        return "right" if pair.resolves(autograd, size) else "unclear"
    gap, off = abs(pair.right - pair.left), abs(autograd - pair.slope)
    if gap > 8 * pair.rounding and gap > off / 10:
        return "kink"  # the slopes of the two sides do not meet, and by enough to explain autograd's number
    return "wrong"


def _widened(pair: Pair, rungs: list[Rung], wider: Iterable[Rung]) -> tuple[Pair, list[Rung]]:
    """The best of the wider pairs too, up to the first that contradicts it; and the rungs up to there.

    Far out another piece of the loss may be as straight as this one: it is believed as far as it agrees.
    """
    coarsest = rungs[0]
    for r in wider:
        new = Pair(r, coarsest, pair.noise, pair.unit)
        if not new.meets(pair):
            break
        if new.error < pair.error:
            pair, rungs = new, [r, *rungs]
        coarsest = r
    return pair, rungs


def _singular(index: tuple[int, ...] | None, autograd: float, pair: Pair, rungs: list[Rung]) -> Slope | None:
    """What is said where the loss has no slope, on one side or none, or an infinite one."""
    sides = _limit([r.left for r in rungs], rungs, pair), _limit([r.right for r in rungs], rungs, pair)
    steep = math.isinf(sides[0]) and sides[0] == sides[1]
    if math.isfinite(pair.error) and not steep:
        return None
    slope = sides[0] if steep else math.nan
    return Slope(index, autograd, slope, math.nan, rungs[-1].h, *sides, "unclear")


def _limits(pair: Pair, rungs: list[Rung]) -> tuple[float, float]:
    """The slopes of the two sides, infinite where they grow as steps shrink."""
    left, right = ([getattr(r, side) for r in rungs] for side in ("left", "right"))
    ends = _limit(left, rungs, pair), _limit(right, rungs, pair)
    return (
        ends[0] if math.isinf(ends[0]) else pair.left,
        ends[1] if math.isinf(ends[1]) else pair.right,
    )


def _limit(slopes: list[float], rungs: list[Rung], pair: Pair) -> float:
    """Of slopes over ever smaller steps: the last; infinite if each is steeper, by as much or by a factor.

    A power of h below 1 grows by a factor from step to step, h·log h by the same amount; where there is a
    slope, they part by less and less.
    """
    last = slopes[-1] if math.isfinite(slopes[-1]) else math.nan
    near = slopes[-6:]  # 1000 times closer
    grows = 0.0 not in near and all(b / a > 1.3 for a, b in itertools.pairwise(near))
    more = [math.copysign(1.0, last) * (b - a) for a, b in itertools.pairwise(near)]
    seen = all(x > 32 * pair.noise / r.h for x, r in zip(more, rungs[-5:], strict=True))
    grows = grows or (seen and all(b > 0.9 * a for a, b in itertools.pairwise(more)))
    return math.copysign(math.inf, last) if grows else last
