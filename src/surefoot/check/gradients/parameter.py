"""What a check found of one parameter's gradient, as a value that reads as a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from surefoot.check.arithmetic.wording import listed
from surefoot.check.gradients.slope import Slope, Verdict

__all__ = ["WORST_FIRST", "ParameterGradient"]

WORST_FIRST: tuple[Verdict, ...] = ("wrong", "jump", "unclear", "kink", "right")
NAMED = 4  # so many wrong elements are named; more are counted


@dataclass(frozen=True)
class ParameterGradient:
    """The slopes measured of one parameter; `whole` says that they are all of its elements.

    A `complex` one is measured in its real and imaginary parts, 0 and 1 in the last place of `shape` and of
    each slope's `index`.
    """

    name: str
    shape: tuple[int, ...]
    slopes: tuple[Slope, ...]
    whole: bool
    complex: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any slope. A kink is no fault: a step aside, the slope was right."""
        found = {s.verdict for s in self.slopes}
        return next(v for v in WORST_FIRST if v in found)

    @property
    def worst(self) -> Slope:
        """The slope furthest off among those of the worst verdict; an element rather than a direction."""
        return max(
            (s for s in self.slopes if s.verdict == self.verdict), key=lambda s: (s.index is not None, s.off)
        )

    def __str__(self) -> str:
        shape = self.shape[:-1] if self.complex else self.shape
        size = "×".join(map(str, shape)) or "a number"
        elements = sum(s.index is not None for s in self.slopes)
        kind = "real and imaginary parts" if self.complex else "elements"
        looked = f"{len(self.slopes) - elements} random directions and {elements} {kind}"
        if self.whole:
            looked = f"all {elements} {kind}" if elements > 1 else "its one element"
        return f"{self.name} ({size}{', complex' if self.complex else ''}), {looked}: {self._finding()}"

    def _finding(self) -> str:
        s = self.worst
        where = self._where(s)
        measured = f"{s.numeric:.9g} ± {s.error:.1g} (central differences, step {s.step:.1g})"
        if s.verdict == "wrong":
            beside = ", a step beside a kink or a minimum" if s.aside else ""
            if s.steep:
                measured = f"{_side(s.left)} on the left, {_side(s.right)} on the right"
            return (
                f"wrong{self._how_many()}. Worst at {where}{beside}: autograd says {s.autograd:.9g}, "
                f"the loss itself has the slope {measured}.{self._hint()}"
            )
        if s.verdict == "jump":
            return (
                f"the loss jumps at {where}, so autograd's {s.autograd:.9g} has no slope to be compared with."
            )
        if s.verdict == "unclear":
            return f"cannot be told: at {where} {_unclear(s, measured)}"
        if s.verdict == "kink":
            return (
                f"right, but for a kink (a ReLU at 0?) at {where} or next to it, where autograd says "
                f"{s.autograd:.6g} and the loss has the slope {s.left:.6g} on the left, {s.right:.6g} on the "
                f"right, over a step of {s.step:.1g}. A step aside, autograd is right."
            )
        if s.off and all(x.zero for x in self.slopes):
            return f"right: both are 0, to {s.error:.1g}."
        if s.off and s.zero:  # the worst of them, but not all
            return f"right, to {max(s.off, s.error):.1g}; the slopes are up to {self._largest():.3g}."
        return f"right, to {s.off:.1g} of {abs(s.numeric):.3g}." if s.off else "right, to the last digit."

    def _largest(self) -> float:
        return max(abs(x.numeric) for x in self.slopes)

    def _where(self, s: Slope) -> str:
        if s.index is None:
            return "a random direction"
        if not self.complex:
            return f"element {list(s.index)}" if s.index else "its value"
        return f"the {_part(s)} part of element {list(s.index[:-1])}" if s.index[:-1] else self._named(s)

    def _named(self, s: Slope) -> str:
        index = list(s.index or ())
        if not self.complex:
            return str(index)
        return f"{index[:-1]}.{_part(s)[:4]}" if index[:-1] else f"its {_part(s)} part"

    def _how_many(self) -> str:
        """In how many of what was measured it is wrong, unless in all; few elements are named."""
        wrong = [s for s in self.slopes if s.verdict == "wrong"]
        if len(wrong) == len(self.slopes):
            return ""
        elements = [s for s in wrong if s.index is not None]
        named = f": {listed(map(self._named, elements))}" if 0 < len(elements) <= NAMED else ""
        if self.whole:
            return f" in {len(elements)} of them{named}"
        along = len(wrong) - len(elements)
        parts = [f"along {along} of these directions"] if along else []
        parts += [f"in {len(elements)} of these elements{named}"] if elements else []
        return f" {' and '.join(parts)}"

    def _hint(self) -> str:
        wrong = [s for s in self.slopes if s.verdict == "wrong"]
        if not all(math.isfinite(s.autograd) for s in wrong):
            return " Is something divided by zero, or its root taken, on a way that torch.where leaves out?"
        if all(s.autograd == 0 for s in wrong):
            return " Autograd gives zero: is something detached, or computed outside torch?"
        if all(abs(s.numeric) <= 10 * s.error for s in wrong):
            return " The loss does not change here: is something rounded, or a straight-through estimator?"
        if self._conjugated(wrong):
            return (
                " The sign of the imaginary parts is turned: is a conjugate missing? Of a function f of "
                "complex z, backward returns grad * f'(z).conj()."
            )
        ratios = _ratios(wrong)
        if not ratios or max(ratios) - min(ratios) > 1e-5 * abs(ratios[0]):
            return ""
        if abs(ratios[0] + 1) < 1e-5:
            return " The sign is turned."
        everywhere = ", everywhere" if len(wrong) == len(self.slopes) > 1 else ""
        return f" It is {ratios[0]:.6g} times what it should be{everywhere}."

    def _conjugated(self, wrong: list[Slope]) -> bool:
        """Whether the elements that are wrong are imaginary parts, each of the other sign."""
        parts = [s for s in wrong if s.index is not None] if self.complex else []
        ratios = _ratios(parts)
        return bool(ratios) and all(_part(s) == "imaginary" for s in parts) and all(
            abs(r + 1) < 1e-5 for r in ratios
        )  # fmt: skip


def _part(s: Slope) -> str:
    return "imaginary" if s.index and s.index[-1] else "real"


def _ratios(slopes: list[Slope]) -> list[float]:
    """How many times its slope autograd gives, where that is known well."""
    return [s.autograd / s.numeric for s in slopes if abs(s.numeric) > 100 * s.error]


def _unclear(s: Slope, measured: str) -> str:
    if s.singular:
        return f"{_singular(s)} Autograd says {s.autograd:.9g}{_as_it_is(s)}."
    if not s.meets:
        return (
            f"the loss has a kink, with the slope {s.left:.6g} on the left, {s.right:.6g} on the right; "
            f"autograd says {s.autograd:.9g}, and nothing is known a step aside."
        )
    only = "" if s.agrees else "; so wide a step is no proof, and smaller ones are lost in noise"
    return f"autograd says {s.autograd:.9g}, the loss itself {measured}{only}."


def _singular(s: Slope) -> str:
    sides = {"left": s.left, "right": s.right}
    missing = [side for side, slope in sides.items() if math.isnan(slope)]
    if len(missing) == 2:
        return "the loss is not finite a step to either side, so it has no slope."
    if not missing and s.steep:
        return "the loss has no finite slope: it is steeper and steeper as steps shrink."
    if not missing:
        return "the loss is so large that its slope cannot be measured in float64."
    other = next(side for side in sides if side not in missing)
    steep = "grows as steps shrink, without a limit" if math.isinf(sides[other]) else f"is {sides[other]:.6g}"
    return f"the loss is not finite a step to the {missing[0]}; on the {other} its slope {steep}."


def _side(slope: float) -> str:
    """The slope of one side, in words where it grows without a limit."""
    return f"{slope:.6g}" if math.isfinite(slope) else f"{slope} (it grows as steps shrink)"


def _as_it_is(s: Slope) -> str:
    return ", as it is" if math.isinf(s.autograd) and s.autograd in (s.left, s.right) else ""
