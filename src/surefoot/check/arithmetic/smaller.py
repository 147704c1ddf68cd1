"""Scripts a little smaller than one given, for `shrink` to try."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from surefoot.errors import InputError
from surefoot.trace import Group, Move, Script, Set, Step
from surefoot.trace.values import build, elements, shape

__all__ = ["smaller"]

LARGE = 32  # elements
LONG = 8  # steps


def smaller(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    """Yield smaller scripts, the greatest savings first. Those that do not fit together are left out."""
    makes = [
        _fewer_steps,
        _fewer_tensors,
        _equal_elements,
        _fewer_elements,
        _fewer_events,
        _fewer_options,
        _simpler_values,
    ]
    if len(script.steps) > LONG:  # each step is told in a line, unless they are alike
        makes = [_equal_steps, *makes[1:], _parts_of_steps]
    for make in makes:
        try:
            yield from make(script, off)
        except InputError:
            continue


def _equal_steps(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    def ones(name: str, step: Step) -> Step:
        given = {n: _filled(g, Fraction(1)) if n == name else g for n, g in step.given.items()}
        return Step(given, step.events)

    for name in script.names:
        yield script.with_steps(partial(ones, name))


def _parts_of_steps(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    count = len(script.steps)
    for part in (count // 2, count // 4, count // 8):
        for skip in range(0, count - part + 1, part):
            yield dataclasses.replace(script, steps=script.steps[:skip] + script.steps[skip + part :])


def _fewer_steps(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    count = len(script.steps)
    for keep in range(1, count):
        yield dataclasses.replace(script, steps=script.steps[:keep])
    for skip in range(count - 1):
        steps = list(script.steps)
        gone = steps.pop(skip)
        yield dataclasses.replace(script, steps=tuple(steps))
        if gone.events:  # what happened before it happens before the next
            steps[skip] = Step(steps[skip].gradients, (*gone.events, *steps[skip].events))
            yield dataclasses.replace(script, steps=tuple(steps))


def _fewer_tensors(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    names = script.names
    if len(names) > 1:
        for name in names:
            yield _without_empty_groups(script.select([name]))
        for name in names:
            yield _without_empty_groups(script.select([n for n in names if n != name]))
    filled = [g for g in script.groups if g.names]
    if len(filled) > 1:
        everything = Group(names, filled[0].options)

        def of_all(step: Step) -> Step:
            events = (dataclasses.replace(e, group=None) if isinstance(e, Set) else e for e in step.events)
            return Step(step.gradients, tuple(events))

        yield dataclasses.replace(script.with_steps(of_all), groups=(everything,))


def _without_empty_groups(script: Script) -> Script:
    kept = [i for i, g in enumerate(script.groups) if g.names]
    steps = []
    for s in script.steps:
        events = []
        for e in s.events:
            if isinstance(e, Set) and e.group is not None:
                if e.group not in kept:
                    continue
                e = dataclasses.replace(e, group=kept.index(e.group))
            events.append(e)
        steps.append(Step(s.gradients, tuple(events)))
    return dataclasses.replace(script, groups=tuple(script.groups[i] for i in kept), steps=tuple(steps))


def _equal_elements(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    """Large tensors, which may have to stay large, of one number; each says the more with fewer."""
    large = [n for n, v in script.start.items() if math.prod(shape(v)) > LARGE]
    for simple in (Fraction(0), Fraction(1)):
        for name in large:
            yield _with_start(script, name, _filled(script.start[name], simple))
            for t, step in enumerate(script.steps):
                if (g := step.given.get(name)) is not None:
                    yield _with_gradient(script, t, name, _filled(g, simple))


def _fewer_elements(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    for name in script.names:
        sizes = shape(script.start[name])
        if not sizes:
            continue
        count = sizes[0]

        def keeping(rows: slice | int, name: str = name) -> Script:
            return script.map(lambda n, v: v[rows] if n == name else v)

        if count == 1 and len(sizes) == 1:  # a matrix stays one: decay may spare vectors
            yield keeping(0)
        part = count // 2
        least = count // 16 if count > LARGE else 1  # the parts of a part come when it fails
        while part >= least:
            for start in range(0, count, part):
                yield keeping(slice(start, start + part))
            part //= 2
        less = count // 4
        while less:  # from the end: less and less of it, where a half is too much
            yield keeping(slice(0, count - less))
            less //= 2


def _fewer_events(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    if script.reuse_gradients:
        yield dataclasses.replace(script, reuse_gradients=False)
    for name in script.dtypes:
        yield dataclasses.replace(script, dtypes={n: d for n, d in script.dtypes.items() if n != name})
    for t, step in enumerate(script.steps):
        for i in range(len(step.events)):
            events = step.events[:i] + step.events[i + 1 :]
            yield _with_step(script, t, Step(step.gradients, events))


def _fewer_options(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    for i, group in enumerate(script.groups):
        for option, value in group.options.items():
            if option in off and value != off[option]:
                yield _with_group(script, i, {**group.options, option: off[option]})
    if len(script.groups) > 1:
        first, *others = script.groups
        for option in first.options:
            if any(option in g.options and g.options[option] != first.options[option] for g in others):
                same = (
                    dataclasses.replace(g, options={**g.options, option: first.options[option]})
                    for g in others
                )
                yield dataclasses.replace(script, groups=(first, *same))


def _simpler_values(script: Script, off: Mapping[str, Any]) -> Iterator[Script]:
    for i, group in enumerate(script.groups):
        for option, value in group.options.items():
            # only what cannot be off, as lr: with 1 for every number one could not tell which is which
            if isinstance(value, Fraction) and option not in off:
                yield _with_group(script, i, {**group.options, option: Fraction(1)})
    steps = script.steps if len(script.steps) <= LONG else ()  # those of a long run stay alike
    for simple in (Fraction(0), Fraction(1)):
        for name, value in script.start.items():
            yield _with_start(script, name, _filled(value, simple))
        for t, step in enumerate(steps):
            for name, g in step.given.items():
                yield _with_gradient(script, t, name, _filled(g, simple))
    for name, value in script.start.items():
        for other in _one_by_one(value):
            yield _with_start(script, name, other)
    for t, step in enumerate(steps):
        for name, g in step.given.items():
            for other in _one_by_one(g):
                yield _with_gradient(script, t, name, other)
        for k, e in enumerate(step.events):
            if isinstance(e, Move):
                for simple in (Fraction(0), Fraction(1)):
                    moved = Move(e.name, _filled(e.value, simple))
                    yield _with_step(
                        script, t, Step(step.gradients, (*step.events[:k], moved, *step.events[k + 1 :]))
                    )


def _one_by_one(value: Any) -> Iterator[Any]:
    numbers = list(elements(value))
    if len(numbers) > 8:
        return
    for (i, x), simple in itertools.product(enumerate(numbers), (Fraction(0), Fraction(1), Fraction(2))):
        if x != simple:
            yield build(shape(value), [*numbers[:i], simple, *numbers[i + 1 :]])


def _filled(value: Any, number: Fraction) -> Any:
    return build(shape(value), [number for _ in elements(value)])


def _with_start(script: Script, name: str, value: Any) -> Script:
    return dataclasses.replace(script, start={**script.start, name: value})


def _with_gradient(script: Script, index: int, name: str, value: Any) -> Script:
    step = script.steps[index]
    return _with_step(script, index, Step({**step.given, name: value}, step.events))


def _with_step(script: Script, index: int, step: Step) -> Script:
    return dataclasses.replace(script, steps=(*script.steps[:index], step, *script.steps[index + 1 :]))


def _with_group(script: Script, index: int, options: Mapping[str, Any]) -> Script:
    group = dataclasses.replace(script.groups[index], options=options)
    return dataclasses.replace(script, groups=(*script.groups[:index], group, *script.groups[index + 1 :]))
