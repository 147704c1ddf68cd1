"""What momentum did in a trace, in one or two sentences: all of it computed, none of it canned."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError
from surefoot.explain.forms.numerals import Numerals
from surefoot.explain.forms.pen import Pen
from surefoot.rules import H, Rule, get
from surefoot.trace import Script, Trace, replay
from surefoot.trace.values import Number, elements, exact

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem

__all__ = ["closing_line", "without_momentum"]

_LONG = 24  # characters of a number that can still be compared by eye


def closing_line(
    rule: Rule, trace: Trace, problem: Problem | None, number: Callable[[Any], Number], numerals: Numerals
) -> str:
    """Say what momentum did: how far w came and what f is, against the same run without it.

    Args:
        rule: the rule of the trace.
        trace: what it made of its script.
        problem: what was differentiated; None if the gradients were given.
        number: the kind of number of the trace.
        numerals: how to write numbers.

    Returns:
        One or two sentences; "" for a trace without steps.
    """
    option = next((x for x in rule.hypers if x.name in ("momentum", "beta1")), None)
    if not trace.steps:
        return ""
    if option is None:
        return "This rule has no momentum: what it keeps of past gradients does not move w further."
    each = [rule.hyper(**moment.options[0]).map(exact) for moment in trace.steps]
    h = each[-1]
    if not any(o[option.name] for o in each):
        does = (
            "follows its own gradient and forgets it"
            if not _remembers(rule, h)
            else "takes the sign of each movement from its own gradient"
        )
        return f"No momentum here ({option.letter} = 0): each step {does}.{_idle(rule, h)}"
    pen = Pen(dataclasses.replace(numerals, exact=False))
    try:
        without = replay(without_momentum(trace.script, option.name), rule, number)
    except InputError:  # an option that needs momentum, or a run that leaves f's domain
        if number is Fraction and not numerals.exact:  # `explain` takes rounded numbers then
            raise
        without = None
    parts = []
    if without is not None:
        parts.append(_distance(trace, without, pen))
        if problem is not None and without.steps[-1].w != trace.steps[-1].w:
            with_it, without_it = (problem.value(x.steps[-1].w, number) for x in (trace, without))
            before = problem.value(
                (trace.steps[-2].w if len(trace.steps) > 1 else trace.script.start), number
            )
            parts[0] += f"; f is {_apart(with_it, without_it, before, pen)}"
    decays = any(o.get("weight_decay") for o in each)  # and pulls against the gradient too
    against, moved = _against_the_gradient(trace)
    if against and not decays:
        parts.append(
            f"In {against} of {moved} movements it carried an element against the gradient of that step"
        )
    said = ". ".join(parts)
    settings = [pen.setting(value) for value in dict.fromkeys(o[option.name] for o in each)]
    if len(settings) > 3:
        settings[1:-1] = ["…"]
    said = f"What momentum did ({option.letter} = {', '.join(settings)}): {said}." if said else ""
    if _is_torch(rule) and h.nesterov and h.dampening:
        said += (
            " torch.optim.SGD itself refuses nesterov with dampening; these are the numbers of its formula."
        )
    return said.strip()


def _remembers(rule: Rule, h: H) -> bool:
    """Whether the new w depends on a slot's old value, by way of any line of the step."""
    reached = {"wₜ"}
    try:
        equations = rule.formulas(h)
    except InputError:  # it branches by its numbers, as symbols cannot
        return bool(rule.slots)
    for e in reversed(equations):
        if e.left.name in reached:
            reached |= {x.name for x in e.right.free_symbols}
    return any(f"{x.letter}ₜ₋₁" in reached for x in rule.slots)


def _is_torch(rule: Rule) -> bool:
    """Whether a rule is torch's by its formula; one of the user's own may have its name."""
    return rule.formula is get("torch").formula


def _idle(rule: Rule, h: H) -> str:
    """Name the options that were given and change nothing without momentum."""
    idle = [name for name in ("dampening", "nesterov") if h.get(name)]
    if not idle:
        return ""
    refused = "; torch.optim.SGD refuses nesterov then" if _is_torch(rule) and h.nesterov else ""
    return f" {' and '.join(idle)} change{'s' * (len(idle) == 1)} nothing without it{refused}."


def without_momentum(script: Script, option: str) -> Script:
    """The same script without momentum, and without what has no meaning then."""

    def without(options: Mapping[str, Any]) -> dict[str, Any]:
        betas = options.get("betas")
        return {**options, **({option: 0} if betas is None else {"betas": (0, betas[1])})}

    return script.without_changes({option}).with_options(without)


def _apart(with_it: Number, without_it: Number, before: Number, pen: Pen) -> str:
    """What f is with momentum and without, in as many digits as show that these differ, up to some twenty."""
    shown = Pen(pen.numerals.to_show(without_it, with_it))
    one, other = shown.result(with_it), shown.result(without_it)
    if len(one) <= _LONG and one != other:
        return f"{one}, without it {other}"
    shown = Pen(pen.numerals.to_show(before, with_it))  # as after the step itself
    one, other = shown.result(with_it), shown.result(without_it)
    return f"{one}, without it {other}" if one != other else f"{one}, and without it the same to these digits"


def _distance(trace: Trace, without: Trace, pen: Pen) -> str:
    steps = len(trace.steps)
    far, alone = _length(trace), _length(without)
    after = f"after {steps} steps" if steps > 1 else "after one step"
    name, several = trace.script.names[0], len(trace.script.names) > 1
    if without.steps[-1].w == trace.steps[-1].w:
        same = "all parameters are where they would be" if several else f"{name} is where it would be"
        return f"nothing yet; {after} {same} without it"
    are, they = ("all parameters together are", "they") if several else (f"{name} is", "it")
    if not math.isfinite(far):
        return f"{after} {are} beyond all bounds"
    away = f"{after} {are} {pen.result(far)} away from where {they} started"
    if not alone or not math.isfinite(far / alone):
        return away
    return f"{away}, {far / alone:.2f} times as far as without it ({pen.result(alone)})"


def _length(trace: Trace) -> float:
    """How far w is from its start, all tensors together."""
    end = trace.steps[-1].w
    pairs = (zip(elements(end[n]), elements(trace.start[n]), strict=True) for n in trace.script.names)
    try:
        return math.hypot(*(float(x - y) for pair in pairs for x, y in pair))
    except OverflowError:
        return math.inf


def _against_the_gradient(trace: Trace) -> tuple[int, int]:
    """How many movements of an element went uphill, of how many."""
    against = moved = 0
    for moment in trace.steps:
        uphill = bool(moment.options[0].get("maximize", False))
        for name, gradient in moment.gradients.items():
            values = moment.before[name], moment.w[name], gradient
            for before, after, g in zip(*map(elements, values), strict=True):
                moved += after != before
                against += ((after - before) * (-g if uphill else g)) > 0
    return against, moved
