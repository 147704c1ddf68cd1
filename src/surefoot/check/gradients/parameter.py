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
    each slope's `index`. `input`: it is an input of the model. `slip` says which mistake gives such a
    gradient, where the slopes prove it.
    """

    name: str
    shape: tuple[int, ...]
    slopes: tuple[Slope, ...]
    whole: bool
    complex: bool = False
    input: bool = False
    slip: str = ""

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
        size = "×".join(map(str, shape)) or "scalar"
        elements = sum(s.index is not None for s in self.slopes)
        kind = "real and imaginary parts" if self.complex else "elements"
        looked = f"{len(self.slopes) - elements} random directions and {elements} {kind}"
        if self.whole:
            looked = f"all {elements} {kind}" if elements > 1 else "its only element"
        size += ", complex" if self.complex else ""
        size += ", input" if self.input and not self.name.startswith("input") else ""
        return f"{self.name} ({size}), {looked}: {self._finding()}"

    def _finding(self) -> str:
        s = self.worst
        where = self._where(s)
        measured = f"{s.numeric:.9g} ± {s.error:.1g} (central differences, step {s.step:.1g})"
        if s.verdict == "wrong":
            beside = ", one step away from a kink or a minimum" if s.aside else ""
            if s.steep:
                measured = f"{_side(s.left)} on the left, {_side(s.right)} on the right"
            return (
                f"wrong{self._how_many()}. Worst at {where}{beside}: autograd gives {s.autograd:.9g}, but "
                f"the slope of the loss is {measured}.{self._hint()}{self.slip and ' '}{self.slip}"
            )
        if s.verdict == "jump":
            return (
                f"the loss jumps at {where}, so there is no slope to compare autograd's {s.autograd:.9g} "
                "with."
            )
        if s.verdict == "unclear":
            return f"cannot be determined: at {where} {_unclear(s, measured)}"
        if s.verdict == "kink":
            return (
                f"right, except for a kink (a ReLU at 0?) at {where} or next to it: autograd gives "
                f"{s.autograd:.6g}, the slope of the loss is {s.left:.6g} on the left and {s.right:.6g} on "
                f"the right, over a step of {s.step:.1g}. One step away, autograd is right."
            )
        if s.off and all(x.zero for x in self.slopes):
            return f"right: both are 0, to within {s.error:.1g}."
        if s.off and s.zero:  # the worst of them, but not all
            return f"right, to within {max(s.off, s.error):.1g}; the largest slope is {self._largest():.3g}."
        if s.off:
            return f"right, to within {s.off:.1g} of {abs(s.numeric):.3g}."
        return "right, to the last digit."

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
            return " Does a branch that torch.where does not select divide by zero, or take the root of zero?"
        if all(s.autograd == 0 for s in wrong):
            return " Autograd gives zero: is a tensor detached, or something computed outside torch?"
        if all(abs(s.numeric) <= 10 * s.error for s in wrong):
            return (
                " The loss does not change here: is something rounded, or is this a straight-through "
                "estimator?"
            )
        if self._conjugated(wrong):
            return (
                " The imaginary parts have the wrong sign: is a conjugate missing? For a function f of "
                "complex z, backward must return grad * f'(z).conj()."
            )
        ratios = _ratios(wrong)
        if not ratios or max(ratios) - min(ratios) > 1e-5 * abs(ratios[0]):
            return ""
        if abs(ratios[0] + 1) < 1e-5:
            return " The sign is wrong."
        everywhere = ", everywhere" if len(wrong) == len(self.slopes) > 1 else ""
        return f" The gradient is {ratios[0]:.6g} times what it should be{everywhere}."

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
        return f"{_singular(s)} Autograd gives {s.autograd:.9g}{_as_it_is(s)}."
    if not s.meets:
        return (
            f"the loss has a kink, with slope {s.left:.6g} on the left and {s.right:.6g} on the right; "
            f"autograd gives {s.autograd:.9g}, and the slope one step away could not be measured."
        )
    only = "" if s.agrees else "; such a wide step proves nothing, and smaller ones are lost in noise"
    return f"autograd gives {s.autograd:.9g}, the loss has slope {measured}{only}."


def _singular(s: Slope) -> str:
    sides = {"left": s.left, "right": s.right}
    missing = [side for side, slope in sides.items() if math.isnan(slope)]
    if len(missing) == 2:
        return "the loss is not finite one step to either side, so it has no slope."
    if not missing and s.steep:
        return "the loss has no finite slope: the smaller the step, the steeper it is."
    if not missing:
        return "the loss is so large that its slope cannot be measured in float64."
    other = next(side for side in sides if side not in missing)
    steep = "grows without limit as steps shrink" if math.isinf(sides[other]) else f"is {sides[other]:.6g}"
    return f"the loss is not finite one step to the {missing[0]}; on the {other} its slope {steep}."


def _side(slope: float) -> str:
    """The slope of one side, in words where it grows without a limit."""
    return f"{slope:.6g}" if math.isfinite(slope) else f"{slope} (it grows as steps shrink)"


def _as_it_is(s: Slope) -> str:
    return ", which agrees" if math.isinf(s.autograd) and s.autograd in (s.left, s.right) else ""
