"""What `explain` is given: read, and refused in a sentence where it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from surefoot.errors import InputError, unknown
from surefoot.explain.forms.numerals import MOST_DIGITS
from surefoot.explain.parting import for_rule
from surefoot.explain.problem.problem import Problem
from surefoot.rules import Rule, get
from surefoot.rules.hypers import HYPERS
from surefoot.trace import Script
from surefoot.trace.events import Set

__all__ = ["check_digits", "check_options", "read_fixed", "read_rules", "read_script"]

MOST_STEPS = 1000


def read_rules(rule: str | Rule | Sequence[str | Rule]) -> list[Rule]:
    """Find the rules by their names."""
    names = [*rule] if isinstance(rule, Sequence) and not isinstance(rule, str) else [rule]
    if isinstance(rule, str) and not set(rule) & set("*+()[]@^"):  # else it is f, or a file
        names = [name.strip() for name in rule.split(",")]
    for name in names:
        if isinstance(name, str) and ":" not in name and set(name) & set("*+/()[]@^"):
            raise InputError(
                f"{name!r} is not a rule; the rule comes first, then f: explain('sgd', {name!r}, at=…)."
            )
    rules = [get(name) for name in names]
    if not rules:
        raise InputError("rule is empty; name at least one, such as 'sgd'.")
    for i, (one, name) in enumerate(zip(rules, names, strict=True)):
        if one in rules[:i]:
            raise InputError(
                f"{names[rules.index(one)]!r} and {name!r} are the same rule. "
                "To compare two settings of it, explain each in Python and plot both: "
                "explain(…, lr=0.1).plot('path', explain(…, lr=0.3))."
            )
    return rules


def read_fixed(
    at: Mapping[str, Any], fixed: str | Collection[str] | Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], list[str]]:
    """Return all values that f is given, and the names of those that no step changes."""
    if fixed is None:
        return at, []
    if isinstance(fixed, Mapping):
        if twice := [name for name in fixed if name in at]:
            raise InputError(f"{twice[0]} is given both in at and in fixed; give it once.")
        return {**at, **fixed}, [*map(str, fixed)]
    try:
        names = [x.strip() for x in fixed.split(",")] if isinstance(fixed, str) else [*map(str, fixed)]
    except TypeError:
        raise InputError(f"fixed must name variables of at, as ['X', 'y'], but it is {fixed!r}.") from None
    for name in names:
        if name not in at:
            raise InputError(f"fixed names {name!r}, which has no value; at has {', '.join(map(str, at))}.")
    return at, names


def read_script(
    at: Mapping[str, Any],
    problem: Problem | None,
    gradients: Sequence[Mapping[str, Any]] | None,
    steps: int | None,
    options: dict[str, Any],
) -> Script:
    """Make the script of what happens in each step."""
    if isinstance(options.get("betas"), list):
        options["betas"] = tuple(options["betas"])
    if steps is None and gradients is None:
        steps = max([2, *(len(v) for v in options.values() if isinstance(v, list))])
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, int) or not 0 < steps <= MOST_STEPS
    ):
        raise InputError(f"steps is {steps!r}; it must be a whole number from 1 to {MOST_STEPS}.")
    if gradients is not None and not len(gradients):
        raise InputError("gradients is empty; give those of at least one step.")
    if gradients is not None and not all(isinstance(g, Mapping) for g in gradients):
        raise InputError("gradients must be a list with, for each step, {name: gradient}.")
    count = steps if steps is not None else len(gradients or ())
    for name, values in options.items():
        if isinstance(values, list) and len(values) > count:
            raise InputError(
                f"{name} has {len(values)} values, but there {'are' if count > 1 else 'is'} {count} "
                f"step{'s' * (count > 1)}; give at most one for each step."
            )
    start = problem.start if problem is not None else at
    return Script.of(start, gradients=gradients, function=problem, steps=steps, **options)


def check_options(rules: list[Rule], script: Script, optimizer: object) -> None:
    """Refuse an option that no rule has (an optimizer refuses its own), and a value outside its domain."""
    known = {x.name for r in rules for x in r.hypers}
    called = " and ".join(r.name for r in rules)
    for name in script.groups[0].options:
        if name in known or optimizer is not None or (name == "betas" and {"beta1", "beta2"} <= known):
            continue
        if name == "nesterov":
            takes = "nadam is Adam with it" if "beta1" in known else "sgd takes it, with momentum 0.9, say"
            takes = "it always looks ahead" if called == "nadam" else takes
            raise InputError(f"{called} {_has(rules)} no option nesterov for Nesterov's momentum; {takes}.")
        raise unknown(f"hyperparameter of {called}", name, known)
    _check_finite(script)
    for rule in rules:
        rule.hyper(**for_rule(script, rule).groups[0].options)


def _check_finite(script: Script) -> None:
    """Refuse an infinite hyperparameter, now or in a schedule; a rule of the user's own may have one."""
    given = [*script.groups[0].options.items()]
    given += [(e.option, e.value) for step in script.steps for e in step.events if isinstance(e, Set)]
    for name, value in given:
        numbers = value if isinstance(value, tuple) else (value,)
        if (name in HYPERS or name == "betas") and math.inf in map(_size, numbers):
            raise InputError(f"{name} is {value}; it must be a finite number.")


def _size(x: Any) -> Any:
    return abs(x) if isinstance(x, float) else x


def _has(rules: list[Rule]) -> str:
    return "has" if len(rules) == 1 else "have"


def check_digits(digits: int) -> int:
    """Refuse what is no number of decimals."""
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS:
        raise InputError(f"digits is {digits!r}; it must be a whole number from 0 to {MOST_DIGITS}.")
    return digits
