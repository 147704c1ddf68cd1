"""A script as it is for who misreads it: options not seen, gradients missing, or other than they are."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from surefoot.check.protocol import Options
from surefoot.trace import Script, Set, Step
from surefoot.trace.values import elements, exact, map_value

__all__ = [
    "behind",
    "clamped",
    "cut_off",
    "first_alone",
    "first_group",
    "idle_ends",
    "lists_kept",
    "of_group",
    "shared_out",
    "still",
    "until_missing",
    "zero_as_default",
    "zero_lr_skipped",
    "zeros",
    "zeros_missing",
]


def behind(script: Script, option: str) -> Script:
    """Each change of an option comes one step later."""
    late: tuple[Any, ...] = ()
    steps = []
    for s in script.steps:
        changes = tuple(e for e in s.events if isinstance(e, Set) and e.option == option)
        steps.append(Step(s.gradients, (*late, *(e for e in s.events if e not in changes))))
        late = changes
    return dataclasses.replace(script, steps=tuple(steps))


def of_group(script: Script, index: int, options: Collection[str]) -> Script:
    """Every group has some options of one of them."""
    theirs = {k: v for k, v in script.groups[index].options.items() if k in options}
    return script.with_options(lambda o: {**o, **theirs})


def zero_as_default(script: Script, option: str) -> Script:
    """An option that is 0 is what the constructor was given: the first group's."""
    usual = script.groups[0].options.get(option, 0)

    def filled(e: Any) -> Any:
        zero = isinstance(e, Set) and e.option == option and e.value == 0
        return dataclasses.replace(e, value=usual) if zero else e

    def options(given: Options) -> Options:
        return {**given, option: usual} if given.get(option) == 0 else given

    return script.with_options(options).with_steps(lambda s: Step(s.gradients, tuple(map(filled, s.events))))


def _rated(script: Script, change: Callable[[Any, int], Any]) -> Script:
    """Each learning rate is what `change` makes of it, and of the index of its group."""
    groups = [
        dataclasses.replace(g, options={**g.options, "lr": change(g.options["lr"], i)})
        if "lr" in g.options
        else g
        for i, g in enumerate(script.groups)
    ]

    def events(e: Any) -> list[Any]:
        if not isinstance(e, Set) or e.option != "lr":
            return [e]
        return [Set("lr", change(e.value, i), i) for i in e.meant(len(groups))]

    changed = script.with_steps(lambda s: Step(s.gradients, tuple(x for e in s.events for x in events(e))))
    return dataclasses.replace(changed, groups=tuple(groups))


def shared_out(script: Script) -> Script:
    """A group's learning rate is divided by the number of its parameters."""
    counts = [len(group.names) for group in script.groups]
    return _rated(script, lambda lr, i: exact(lr) / counts[i])


def cut_off(script: Script, digits: int) -> Script:
    """A learning rate has so many digits after the point, and no more."""
    return _rated(script, lambda lr, i: Fraction(int(lr * 10**digits), 10**digits))


def lists_kept(script: Script) -> Script:
    """A group is stepped again with each later one, at that one's learning rate."""
    if any(s.events for s in script.steps):
        return script
    groups = []
    for i, group in enumerate(script.groups):
        lrs = [g.options["lr"] for g in script.groups[i:] if "lr" in g.options]
        groups.append(
            dataclasses.replace(group, options={**group.options, "lr": sum(lrs)} if lrs else group.options)
        )
    return dataclasses.replace(script, groups=tuple(groups))


def idle_ends(script: Script) -> Script:
    """Where a group has no gradient, those after it are not stepped."""

    def until_idle(step: Step) -> Step:
        groups = [[n for n in group.names if n in step.given] for group in script.groups]
        stepped = itertools.chain(*itertools.takewhile(bool, groups))
        return Step({n: step.given[n] for n in stepped}, step.events)

    return script.with_steps(until_idle)


def first_group(script: Script) -> Script:
    """Only the first group is stepped."""
    first = script.groups[0].names
    return _of_gradients(script, lambda given: {n: g for n, g in given.items() if n in first})


def first_alone(script: Script, *, of_all: bool = False, ready: bool = True) -> Script:
    """Only one parameter of each group is stepped, or `of_all`: the first, or (`ready`) with a gradient."""
    lists = [script.names] if of_all else [group.names for group in script.groups]

    def first(given: dict[str, Any]) -> dict[str, Any]:
        ordered = ([n for n in names if n in given or not ready] for names in lists)
        return {names[0]: given[names[0]] for names in ordered if names and names[0] in given}

    return _of_gradients(script, first)


def until_missing(script: Script, *, of_all: bool) -> Script:
    """In each group, or in `of_all`, nothing is stepped after the first parameter without a gradient."""
    lists = [script.names] if of_all else [group.names for group in script.groups]

    def until(given: dict[str, Any]) -> dict[str, Any]:
        stepped = (itertools.takewhile(given.__contains__, names) for names in lists)
        return {n: given[n] for n in itertools.chain(*stepped)}

    return _of_gradients(script, until)


def still(script: Script) -> Script:
    """The learning rate is 0 throughout, so that nothing moves."""
    return script.without_changes({"lr"}).with_options(lambda o: {**o, "lr": 0})


def zeros(script: Script, *, from_the_start: bool = True) -> Script:
    """A missing gradient is one of zeros; or only once there has been one."""
    seen = set(script.names) if from_the_start else set()
    steps = []
    for s in script.steps:
        seen |= set(s.given)
        zeros = {n: map_value(lambda x: 0 * x, v) for n, v in script.start.items() if n in seen}
        steps.append(Step({**zeros, **s.given}, s.events))
    return dataclasses.replace(script, steps=tuple(steps))


def _of_gradients(script: Script, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Script:
    return script.with_steps(lambda s: Step(change(dict(s.given)), s.events))


def zeros_missing(script: Script) -> Script:
    return _of_gradients(script, lambda given: {n: g for n, g in given.items() if any(elements(g))})


def clamped(script: Script) -> Script:
    def clamp(gradients: dict[str, Any]) -> dict[str, Any]:
        return {n: map_value(lambda x: min(max(x, -1), 1), g) for n, g in gradients.items()}

    return _of_gradients(script, clamp)


def zero_lr_skipped(script: Script) -> Script:
    """While its lr is 0, a group has no gradients."""
    lrs = [group.options.get("lr") for group in script.groups]
    steps = []
    for s in script.steps:
        for e in s.events:
            if isinstance(e, Set) and e.option == "lr":
                for index in e.meant(len(lrs)):
                    lrs[index] = e.value
        given = {n: g for n, g in s.given.items() if lrs[script.group_of(n)] != 0}
        steps.append(Step(given, s.events))
    return dataclasses.replace(script, steps=tuple(steps))
