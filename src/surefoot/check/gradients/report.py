"""What a check of gradients found, as a value that reads as sentences."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from surefoot.check.gradients.slope import Slope, Verdict
from surefoot.check.wording import listed

_WORST_FIRST: tuple[Verdict, ...] = ("wrong", "jump", "unclear", "kink", "right")
NAMED = 4  # so many wrong elements are named; more are counted
_MARK = {"right": "✓", "kink": "✓", "wrong": "✗", "jump": "✗", "unclear": "?"}


@dataclass(frozen=True)
class ParameterGradient:
    """The slopes measured of one parameter; `whole` says that they are all of its elements."""

    name: str
    shape: tuple[int, ...]
    slopes: tuple[Slope, ...]
    whole: bool

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any slope. A kink is no fault: a step aside, the slope was right."""
        found = {s.verdict for s in self.slopes}
        return next(v for v in _WORST_FIRST if v in found)

    @property
    def worst(self) -> Slope:
        """The slope furthest off among those of the worst verdict; an element rather than a direction."""
        return max(
            (s for s in self.slopes if s.verdict == self.verdict), key=lambda s: (s.index is not None, s.off)
        )

    def __str__(self) -> str:
        size = "×".join(map(str, self.shape)) or "a number"
        elements = sum(s.index is not None for s in self.slopes)
        looked = f"{len(self.slopes) - elements} random directions and {elements} elements"
        if self.whole:
            looked = f"all {elements} elements" if elements > 1 else "its one element"
        return f"{self.name} ({size}), {looked}: {self._finding()}"

    def _finding(self) -> str:
        s = self.worst
        where = (
            "a random direction"
            if s.index is None
            else f"element {list(s.index)}"
            if s.index
            else "its value"
        )
        measured = f"{s.numeric:.9g} ± {s.error:.1g} (central differences, step {s.step:.1g})"
        if s.verdict == "wrong":
            beside = ", a step beside a kink" if s.aside else ""
            return (
                f"wrong{self._how_many()}. Worst at {where}{beside}: autograd says {s.autograd:.9g}, "
                f"the loss itself has the slope {measured}.{self._hint()}"
            )
        if s.verdict == "jump":
            return (
                f"the loss jumps at {where}, so autograd's {s.autograd:.9g} has no slope to be compared with."
            )
        if s.verdict == "unclear":
            return f"cannot be told: at {where} autograd says {s.autograd:.9g}, the loss itself {measured}."
        if s.verdict == "kink":
            return (
                f"right, but for a kink (a ReLU at 0?) at {where}, where autograd says {s.autograd:.6g} and "
                f"the loss has the slope {s.left:.6g} on the left, {s.right:.6g} on the right. A step aside, "
                "autograd is right."
            )
        return f"right, to {s.off:.1g} of {abs(s.numeric):.3g}." if s.off else "right, to the last digit."

    def _how_many(self) -> str:
        """In how many of what was measured it is wrong, unless in all; few elements are named."""
        wrong = [s for s in self.slopes if s.verdict == "wrong"]
        if len(wrong) == len(self.slopes):
            return ""
        elements = [list(s.index) for s in wrong if s.index is not None]
        named = f": {listed(map(str, elements))}" if 0 < len(elements) <= NAMED else ""
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
        ratios = [s.autograd / s.numeric for s in wrong if abs(s.numeric) > 100 * s.error]
        if not ratios or max(ratios) - min(ratios) > 1e-5 * abs(ratios[0]):
            return ""
        if abs(ratios[0] + 1) < 1e-5:
            return " The sign is turned."
        everywhere = ", everywhere" if len(wrong) == len(self.slopes) > 1 else ""
        return f" It is {ratios[0]:.6g} times what it should be{everywhere}."


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`; print it.

    `spread` is the difference between two equal evaluations (above zero, nothing can be judged), and `draws`
    says whether the loss draws random numbers. `dtype` is the narrowest that the loss is computed in, though
    parameters are float64. `padding` has the row of each embedding's weight that is left
    out: autograd gives it no gradient, as `padding_idx` asks for, whatever the slope. `hooked` names the
    parameters whose gradient a hook may change, and says whether all of its hooks were called. `flow` has the
    parameters in the order of the forward pass, each with those before it on its gradient's way.
    """

    model: str
    loss: str
    parameters: tuple[ParameterGradient, ...]
    spread: float = 0.0
    draws: bool = False
    dtype: str = "float64"
    padding: Mapping[str, int] = field(default_factory=dict)
    hooked: Mapping[str, bool] = field(default_factory=dict)
    flow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of right, wrong, discontinuous, unclear, non-deterministic."""
        if self.spread:
            return "non-deterministic"
        found = {p.verdict for p in self.parameters}
        worst = next(v for v in _WORST_FIRST if v in found)
        return {"jump": "discontinuous", "kink": "right"}.get(worst, worst)

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return self.verdict == "right"

    def __repr__(self) -> str:
        return f"<GradientReport: {self._headline().removesuffix('.')}>"

    def __str__(self) -> str:
        wrapper = textwrap.TextWrapper(width=100, initial_indent="  ", subsequent_indent="      ")
        return "\n".join([self._headline(), *(wrapper.fill(line) for line in self._lines())])

    def _headline(self) -> str:
        return f"Gradients of {self.model} under {self.loss}, in float64: {self.verdict}."

    def _lines(self) -> list[str]:
        if self.spread:
            return [
                f"Two evaluations with the same parameters, batch and seed differ by {self.spread:.3g}, so "
                "no slope can be measured. Look for state that changes in forward, or random numbers drawn "
                "outside torch."
            ]
        lines = [f"{_MARK[p.verdict]} {p}" for p in self.parameters]
        for name, called in self.hooked.items():
            lines.append(
                f"{name} has a hook, which is part of what was checked."
                if called
                else f"{name} has a hook that runs after accumulation: what it does was left out."
            )
        if self.draws:
            lines.append(
                "The loss draws random numbers (dropout?); the same ones were drawn in every evaluation."
            )
        if self.dtype != "float64":
            lines.append(
                f"The loss is computed in {self.dtype}, at least in part: its slopes have fewer digits, and "
                "small ones cannot be told."
            )
        lines += [
            f"Row {row} of {name} is left out: with padding_idx={row} it has no gradient, whatever the slope."
            for name, row in self.padding.items()
        ]
        if place := self._place():
            lines.append(f"Gradients flow from the loss backwards: look for the mistake between {place}.")
        return lines

    def _place(self) -> str:
        """Between which parameters a gradient goes wrong: all after that place on its way, none before."""
        wrong = {p.name for p in self.parameters if p.verdict == "wrong"}
        if not wrong or not wrong <= self.flow.keys():
            return ""
        last = [name for name in self.flow if name in wrong][-1]
        beside = [name for name in self.flow if name not in wrong and last in self.flow[name]]
        if not beside or set(self.flow[last]) | {last} != wrong:
            return ""
        return f"{beside[0]} and {last}"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        return {"verdict": self.verdict, **asdict(self)}

    def _repr_html_(self) -> str:
        colour = "#0a7f3f" if self.ok else "#b3261e"
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self._lines())
        head = f'<p style="color:{colour}"><b>{html.escape(self._headline())}</b></p>'
        return f'{head}<ul style="list-style:none">{items}</ul>'
