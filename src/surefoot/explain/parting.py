"""Where two conventions part, or an optimizer from its rule: the first number, and what makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.forms.numerals import six_digits
from surefoot.rules import RULES, Rule
from surefoot.trace import Mismatch, Move, Script, Set, Step, Trace, compare, magnitudes, replay
from surefoot.trace.values import Number, elements, exact_binary, indices, shape

__all__ = ["Parting", "for_rule", "part_from_optimizer", "part_rules"]

# two runs on 50 digits that should be equal
_CLOSE = Fraction(1, 10**30)
# options in the order in which they are tried, with the value that switches them off
_OFF: dict[str, Any] = {
    "nesterov": False,
    "dampening": 0,
    "weight_decay": 0,
    "maximize": False,
    "momentum": 0,
}


@dataclass(frozen=True)
class Parting:
    """How far two traces go together.

    Args:
        first: the one that is held to be the measure.
        other: the one beside it.
        mismatch: the first number that differs; None if none does.
        reason: what makes the difference, as a sentence; "" if that was not found.
    """

    first: str
    other: str
    mismatch: Mismatch | None
    reason: str

    def __repr__(self) -> str:
        """Short: what differs, without the reason."""
        where = (
            "" if self.mismatch is None else f" differ at step {self.mismatch.step} in {self.mismatch.place}"
        )
        return f"<Parting: {self.first} and {self.other}{where or ' agree'}>"

    def __str__(self) -> str:
        """Say it in one or two sentences."""
        m = self.mismatch
        if m is None:
            return f"{self.first} and {self.other} agree in every number."
        numbers = f"{six_digits(m.expected)} and {six_digits(m.got)}".replace("-", "−")
        where = f"{self.first} and {self.other} first differ at step {m.step}, in {m.place}: {numbers}."
        return f"{where} {self.reason}".rstrip()


def for_rule(script: Script, rule: Rule) -> Script:
    """Leave out the options that a rule does not have.

    Conventions are set beside each other with the options that each has; `explain` refuses one that none has.
    """
    have = set(rule.defaults)
    have |= {"betas"} if {"beta1", "beta2"} <= have else set()

    def heard(step: Step) -> Step:
        kept = (e for e in step.events if not isinstance(e, Set) or e.option in have)
        return Step(step.gradients, tuple(kept))

    return script.with_options(lambda o: {k: v for k, v in o.items() if k in have}).with_steps(heard)


def part_rules(script: Script, one: Rule, other: Rule, number: Callable[[Any], Number]) -> Parting:
    """Find where two rules part on a script, and which option or event makes them.

    Example:
        >>> from surefoot.rules import get
        >>> script = Script.of({"w": 1}, gradients=[{"w": 1}] * 3, lr=[0.1, 0.1, 0.01], momentum=0.9)
        >>> parting = part_rules(script, get("torch"), get("keras"), Fraction)
        >>> parting.mismatch.step, parting.reason.partition(":")[0]
        (3, 'The reason is the new lr')
    """
    mismatch = _first_difference(script, one, other, number)
    reason = ""
    if mismatch is not None:
        for without, sentence in chain(_same_defaults(script, one, other), _weaker(script, mismatch.step)):
            try:
                later = _first_difference(without, one, other, number)
            except InputError:  # the script needs what was left out
                continue
            if later is None or later.step > mismatch.step:
                reason = sentence + _lr_inside(one, other) * ("new lr" in sentence)
                break
    return Parting(one.name, other.name, mismatch, reason)


def _lr_inside(one: Rule, other: Rule) -> str:
    """Say which rule's buffer holds the learning rate, if only one's does."""
    inside, letters = [], []
    for rule in (one, other):
        slots = {x.name: x.letter for x in rule.slots}
        lines = [e for e in rule.formulas() if e.name in slots]
        inside.append(any(x.name == "γ" for e in lines for x in e.right.free_symbols))
        letters.append(next((slots[e.name] for e in lines), ""))
    if inside[0] == inside[1] or not all(letters):
        return ""
    keeps = inside.index(True)
    return (
        f" {(one, other)[keeps].name}'s {letters[keeps]} keeps each gradient at the lr of its own step; "
        f"{(one, other)[1 - keeps].name} multiplies all of {letters[1 - keeps]} by the new lr."
    )


def _first_difference(
    script: Script, one: Rule, other: Rule, number: Callable[[Any], Number]
) -> Mismatch | None:
    traces = replay(for_rule(script, one), one, number), replay(for_rule(script, other), other, number)
    for t, (a, b) in enumerate(zip(*(trace.steps for trace in traces), strict=True), 1):
        for name in script.names:
            places = indices(shape(a.w[name]))
            for index, x, y in zip(places, elements(a.w[name]), elements(b.w[name]), strict=True):
                p, q = exact_binary(x), exact_binary(y)
                if p != q and not abs(p - q) <= _CLOSE * (1 + abs(p)):
                    return Mismatch(t, name, index, "w", x, y, 0.0)
    return None


def _weaker(script: Script, step: int) -> Iterator[tuple[Script, str]]:
    """Yield scripts in which one thing less happens, each with what it would mean if that is the reason."""
    cut = dataclasses.replace(script, steps=script.steps[:step])
    for event in script.steps[step - 1].events:
        kept = tuple(e for e in cut.steps[-1].events if e is not event)
        last = Step(cut.steps[-1].gradients, kept)
        without = dataclasses.replace(cut, steps=(*cut.steps[:-1], last))
        if isinstance(event, Set):
            yield (
                without,
                f"The reason is the new {event.option}: with the old one they would still agree here.",
            )
        elif isinstance(event, Move):
            yield (
                without,
                f"The reason is that {event.name} was set from outside: otherwise they would agree here.",
            )
    for option, off in _OFF.items():
        if any(g.options.get(option, off) != off for g in script.groups):
            shown = f"{option}={off}"
            yield (
                _with_option(cut, option, off),
                f"The reason is {option}: with {shown} they would still agree here.",
            )


def _same_defaults(script: Script, one: Rule, other: Rule) -> Iterator[tuple[Script, str]]:
    """Yield scripts in which both rules have the first one's default for something that was not given."""
    theirs = other.defaults
    for x in one.hypers:
        given = any(x.name in g.options for g in script.groups)
        if not given and x.name in theirs and x.default != theirs[x.name]:
            ours, others = (f"{float(v):g}" if x.is_number else v for v in (x.default, theirs[x.name]))
            yield (
                _with_option(script, x.name, x.default),
                f"The reason is {x.name}, whose default is {ours} in {one.name} and {others} in"
                f" {other.name}: with equal values they would still agree here.",
            )


def _with_option(script: Script, option: str, value: Any) -> Script:
    return script.without_changes({option}).with_options(lambda o: {**o, option: value})


def part_from_optimizer(script: Script, rule: Rule, got: Trace, number: Callable[[Any], Number]) -> Parting:
    """Find where an optimizer parts from a rule, beyond rounding, given the gradients that it was given.

    Args:
        script: what was played.
        rule: what the optimizer is held to.
        got: what was recorded.
        number: the kind of number to replay in.

    Returns:
        The parting; its reason names the rule or the options that give what was recorded, if any do.
    """
    steps = tuple(Step(m.gradients, s.events) for m, s in zip(got.steps, script.steps, strict=True))
    given = dataclasses.replace(script, steps=steps, function=None)
    mismatch = _follow(given, rule, got, number)
    reason = "" if mismatch is None else _explanation(given, rule, got, number)
    return Parting(rule.name, got.label, mismatch, reason)


def _follow(given: Script, rule: Rule, got: Trace, number: Callable[[Any], Number]) -> Mismatch | None:
    script = for_rule(given, rule)
    return compare(replay(script, rule, number), got, bounds=magnitudes(script, rule), forms=rule)


def _explanation(given: Script, rule: Rule, got: Trace, number: Callable[[Any], Number]) -> str:
    """Name what gives the recorded numbers: first the rule with one option otherwise, then other rules."""
    own = {x.name: x for x in rule.hypers}
    tries: list[tuple[Script, Rule, str]] = []
    for option, off in _OFF.items():
        if option in own and any(g.options.get(option, off) != off for g in given.groups):
            tries.append((_with_option(given, option, off), rule, f"{rule.name} with {option}={off}"))
    if "nesterov" in own and not any(g.options.get("nesterov") for g in given.groups):
        tries.append((_with_option(given, "nesterov", True), rule, f"{rule.name} with nesterov=True"))
    if "decay" in own:
        places = (place for place in own["decay"].choices if place != "corrected")
        tries += [(_with_option(given, "decay", p), rule, f"{rule.name} with decay={p!r}") for p in places]
    tries += [(given, other, other.name) for other in RULES.values() if other.name != rule.name]
    for script, other, what in tries:
        try:
            if _follow(script, other, got, number) is None:
                return f"The second is what {what} gives."
        except InputError:  # a rule that cannot play this script
            continue
    return ""
