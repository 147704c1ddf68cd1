"""Hyperparameters from one convention to another, each result proved by running both rules exactly."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.rules.agree import agree, response
from surefoot.rules.calls import call, refused, show
from surefoot.rules.candidates import candidates, exact, shapes
from surefoot.rules.conditions import agree_under, conditions
from surefoot.rules.hyper import H
from surefoot.rules.hypers import HYPERS
from surefoot.rules.rule import Rule
from surefoot.rules.table import get

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """What to give `target` so that it makes the steps that `source` makes with `given`.

    Args:
        source: the rule that there is.
        target: the rule that is wanted.
        given: the source's hyperparameters.
        hyper: the target's; None where there is no equivalent.
        holds: when the two agree, or why there is no equivalent.
        schedule: what a change of lr or momentum during the run does.
        state: how to carry the buffer over in the middle of a run; "" where that is no plain multiple.
    """

    source: Rule
    target: Rule
    given: H
    hyper: H | None
    holds: str
    schedule: str = ""
    state: str = ""

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The conversion as a few lines; those of words have at most so many characters."""
        there = call(self.target, self.hyper) if self.hyper else f"{self.target.name}: there is no equivalent"
        first = f"{call(self.source, self.given)}  →  {there}"  # in one piece, to be copied
        lines = "\n".join([self.holds, self.schedule, self.state]).splitlines()
        return "\n".join([first, *(textwrap.fill(x, width) for x in lines if x)])

    __repr__ = __str__  # a prompt shows this

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON; numbers as floats."""

        def plain(h: H | None) -> dict[str, Any] | None:
            return (
                None if h is None else {k: float(v) if isinstance(v, Fraction) else v for k, v in h.items()}
            )

        ends = {"from": self.source.name, "given": plain(self.given), "to": self.target.name}
        return {
            **ends,
            "hyper": plain(self.hyper),
            "holds": self.holds,
            "schedule": self.schedule,
            "state": self.state,
        }


def convert(source: str | Rule, target: str | Rule, **given: Any) -> Conversion:
    """The hyperparameters with which `target` makes the same steps as `source` does with those given.

    Args:
        source: a rule, or its name.
        target: a rule, or its name.
        given: the source's hyperparameters; decimals are taken as they are written (0.1 is 1/10), and
            what the source does not have may be given as 0.

    Returns:
        A Conversion; its `hyper` is None where there is no equivalent, and `holds` says why.

    Raises:
        InputError: an unknown rule or hyperparameter, a value outside its domain, or a rule without lr.

    Example:
        >>> print(convert("ema", "torch", lr=0.1, momentum=0.9))
        ema(lr=0.1, momentum=0.9)  →  torch(lr=0.01, momentum=0.9)
        They take the same steps, from the first on, while momentum does not change.
        If lr changes, multiply both by the same factor; then they still agree.
        If momentum changes, they diverge: these values are for 0.9.
        In the middle of a run: momentum_buffer of torch = 10 × momentum_buffer of ema.
    """
    source, target = get(source), get(target)
    for rule in (source, target):
        if "lr" not in rule.defaults:
            known = ", ".join(rule.defaults)
            raise InputError(
                f"The rule {rule.name!r} takes {known}; only a rule that takes lr can be converted."
            )
    # what other rules have and this one has not may be 0
    given = {k: v for k, v in given.items() if v or k in source.defaults or k not in HYPERS}
    h = source.hyper(**given).map(exact)
    try:
        found = [h2 for h2 in candidates(source, h, target) if agree(source, h, target, h2)]
    except ZeroDivisionError:  # only a rule of the user's own is exact and divides
        raise InputError(
            f"The rule {source.name!r} or {target.name!r} divides by 0 if a gradient is 0; add a small "
            "eps to what it divides by."
        ) from None
    if found:  # best one that goes on agreeing where a schedule changes lr
        h2 = next((h2 for h2 in found if agree_under(("lr",), source, h, target, h2)), found[0])
        return Conversion(source, target, h, h2, *conditions(source, h, target, h2))
    return Conversion(source, target, h, None, _why_not(source, h, target))


def _why_not(source: Rule, h: H, target: Rule) -> str:
    """Why nothing does, in a sentence."""
    if source == target:
        return f"With these values {source.name} divides by 0 or takes the root of a negative number."
    if h.get("weight_decay"):
        bare = convert(source, target, **h.replace(weight_decay=0))
        if bare.hyper is not None:
            return f"No weight decay in {target.name} does the same; without it: {call(target, bare.hyper)}."
        return f"Without weight decay: {bare.holds}"
    ours, default = response(source, h), response(target, target.hyper().map(exact))
    if (ours is None) != (default is None):
        linear, other = (target, source) if ours is None else (source, target)
        return f"{linear.name} steps by a sum of past gradients, each times a number; {other.name} does not."
    if (source.formula, target.formula) == (get("lion").formula, get("signsgd").formula):
        betas = f"β₁ = {show(h.beta1)} and β₂ = {show(h.beta2)}"
        return f"Both step by a sign, but with {betas} lion's is not the sign of any mean that signsgd keeps."
    if ours is None:
        return f"{source.name} and {target.name} scale their steps in different ways."
    for shape in shapes(source, h, target):
        theirs = response(target, shape)
        if not (theirs and theirs[1][1] and theirs[0][0]):
            continue
        factor = ours[1][1] / theirs[1][1]
        if factor <= 0 or ours[1] != [factor * x for x in theirs[1]]:
            continue
        fit = shape.replace(lr=factor)
        first = ours[0][0] / (factor * theirs[0][0])
        times = (
            f"which counts {show(first)} times as much in {source.name}"
            if ours[0] == [first * factor * x for x in theirs[0]]
            else f"which counts differently in {source.name}, and not by a single factor"
        )
        said = refused(target, fit)
        beside = f" ({said})" if said else ""
        return f"{call(target, fit)}{beside} agrees on every gradient but the first, {times}."
    return f"No lr, momentum or option of {target.name} weighs past gradients as {source.name} does here."
