"""What a check of gradients found, as a value that reads as sentences."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from surefoot.check.arithmetic.wording import listed
from surefoot.check.gradients.parameter import WORST_FIRST, ParameterGradient

CUT = (
    "gets no gradient (it is detached, used under no_grad, or a backward returns None for it), though the "
    "loss depends on it; whether that is meant cannot be known"
)
_MARK = {"right": "✓", "kink": "✓", "wrong": "✗", "jump": "✗", "unclear": "?"}


@dataclass(frozen=True)
class GradientReport:
    """The result of `check_gradients`; print it.

    `spread` is the difference between two equal evaluations (above zero, nothing can be judged), and `draws`
    says whether the loss draws random numbers. `dtype` is the narrowest that the loss is computed in, though
    parameters are float64. `padding` has the row of each embedding's weight that is left
    out: autograd gives it no gradient, as `padding_idx` asks for, whatever the slope. `hooked` names the
    parameters whose gradient a hook may change, and says whether all of its hooks were called. `flow` has the
    parameters in the order of the forward pass, each with those before it on its gradient's way.
    `inputs` has the inputs checked, and `unchecked` the others, with the reason; `all_inputs` is False where
    none was to be. `weighted`: the output was reduced to one number by random weights.
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
    inputs: tuple[ParameterGradient, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    all_inputs: bool = True
    weighted: bool = False

    @property
    def verdict(self) -> str:
        """One of right, wrong, discontinuous, unclear, non-deterministic."""
        if self.spread:
            return "non-deterministic"
        found = {p.verdict for p in (*self.parameters, *self.inputs)}
        worst = next(v for v in WORST_FIRST if v in found)
        return {"jump": "discontinuous", "kink": "right"}.get(worst, worst)

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return self.verdict == "right"

    def __repr__(self) -> str:
        return f"<GradientReport: {self._headline().removesuffix('.')}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The report in lines of at most so many characters."""
        wrapper = textwrap.TextWrapper(width=width, initial_indent="  ", subsequent_indent="      ")
        return "\n".join([self._headline(), *(wrapper.fill(line) for line in self._lines())])

    def _headline(self) -> str:
        under = f" under {self.loss}" if self.loss else ""
        return f"Gradients of {self.model}{under}, in float64: {self.verdict}{self._but()}."

    def _but(self) -> str:
        """What the verdict says nothing of, though it could have a gradient."""
        if not self.all_inputs:
            return "; inputs were not checked"
        left = [name for name, why in self.unchecked.items() if not why.endswith("has no gradient")]
        return f"; {listed(left)} {'was' if len(left) == 1 else 'were'} not checked" if left else ""

    def _lines(self) -> list[str]:
        if self.spread:
            return [
                f"Two evaluations with the same parameters, batch and seed differ by {self.spread:.3g}, so "
                "no slope can be measured. Look for state that changes in forward, or for random numbers "
                "drawn outside torch."
            ]
        lines = [f"{_MARK[p.verdict]} {p}" for p in (*self.parameters, *self.inputs)]
        lines += [f"{name} {why}: it was not checked." for name, why in self.unchecked.items()]
        if self.weighted:
            lines.append(
                "The loss is the output multiplied by fixed random weights and summed, so that every "
                "element counts."
            )
        for name, called in self.hooked.items():
            lines.append(
                f"{name} has a hook; it was included in the check."
                if called
                else f"{name} has a hook that runs after accumulation; it was not included in the check."
            )
        if self.draws:
            lines.append("The loss draws random numbers (dropout?); every evaluation used the same ones.")
        if self.dtype != "float64":
            lines.append(
                f"The loss is computed at least partly in {self.dtype}: slopes have fewer digits, and small "
                "ones cannot be determined."
            )
        lines += [
            f"Row {row} of {name} is left out: with padding_idx={row} it gets no gradient, whatever the "
            "slope."
            for name, row in self.padding.items()
        ]
        if place := self._place():
            lines.append(f"Gradients flow backwards from the loss: look for the mistake between {place}.")
        if self.parameters and all(p.verdict in ("right", "kink") for p in self.parameters):
            wrong = [p.name for p in self.inputs if p.verdict == "wrong"]
            if wrong:
                lines.append(
                    f"The gradients of all parameters are right, but that of {listed(wrong)} is wrong: "
                    "look at what happens to it before the first parameter, and at the input gradient of the "
                    "layer that takes it."
                )
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
