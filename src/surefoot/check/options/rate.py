"""The learning rate of an optimizer that has no option for it: with it a rule makes the same first move."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.rules import Rule
from surefoot.rules.numbers import to_mpmath
from surefoot.trace import Group, Script, Step, Trace, replay
from surefoot.trace.values import elements

__all__ = ["FirstMove", "first_move", "rate"]

DIGITS = 6  # of what one writes; a number that rounding alone parts from so short a one is that


@dataclass(frozen=True)
class FirstMove:
    """How far w moved from 0 by a gradient of 1, with these options."""

    options: Mapping[str, Any]
    size: float


def first_move(trace: Trace | None) -> FirstMove | None:
    """Read the first move off a recording whose first number starts at 0, and has a gradient of 1."""
    if trace is None or not trace.steps:
        return None
    moment, (name, *_) = trace.steps[0], trace.script.names
    (before, *_), (after, *_) = elements(moment.before[name]), elements(moment.w[name])
    size = abs(float(after) - float(before))
    if before != 0 or next(iter(elements(moment.gradients.get(name, 0)))) != 1:
        return None
    return FirstMove(trace.script.groups[0].options, size) if size and math.isfinite(size) else None


def rate(rule: Rule, options: Mapping[str, Any], size: float) -> Fraction | None:
    """The learning rate with which a rule makes a first move of this size; None if there is none.

    Args:
        rule: any that has an lr.
        options: the others, in the rule's words.
        size: how far w moves from 0 by a gradient of 1.
    """
    more = {"lr_max": 1} if "lr_max" in rule.defaults else {}
    script = Script({"w": 0}, (Group(("w",), {**options, **more, "lr": 1}),), (Step({"w": 1}),))
    try:
        played = replay(script, rule, Fraction if rule.exact else to_mpmath)
    except (InputError, ArithmeticError, ValueError):
        return None
    unit = abs(float(next(iter(elements(played.steps[0].w["w"])))))
    if not unit or not math.isfinite(unit):
        return None
    found = size / unit
    short = float(f"{found:.{DIGITS}g}")
    return Fraction(short if math.isclose(short, found, rel_tol=1e-12) else found)
