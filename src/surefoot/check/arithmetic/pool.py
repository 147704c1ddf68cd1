"""Replaying large tensors quickly: rules are elementwise, so elements of equal fate are replayed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from surefoot.trace import Move, Script, Step, Trace
from surefoot.trace.values import Value, build, elements, shape

__all__ = ["pooled"]


def pooled(script: Script) -> tuple[Script, Callable[[Trace], Trace]] | None:
    """Gather a script's elements, those of equal fate once, into one tensor per group.

    Args:
        script: one in which every parameter has a gradient at every step, and none is moved from outside.

    Returns:
        The smaller script, and what turns its trace into that of the one given; None if nothing is gained.
    """
    if any(s.gradients is None or set(s.gradients) != set(script.start) for s in script.steps):
        return None
    if any(isinstance(e, Move) for s in script.steps for e in s.events):
        return None
    columns: list[dict[tuple[Any, ...], int]] = [{} for _ in script.groups]
    places: dict[str, tuple[int, list[int]]] = {}
    for name, start in script.start.items():
        group = script.group_of(name)
        fates = zip(elements(start), *(elements(s.given[name]) for s in script.steps), strict=True)
        places[name] = group, [columns[group].setdefault(fate, len(columns[group])) for fate in fates]
    if sum(map(len, columns)) * 2 > sum(len(at) for _, at in places.values()):
        return None
    names = [f"pool{i}" for i in range(len(columns))]
    rows = [
        list(zip(*c, strict=True)) for c in columns
    ]  # row 0 the start values, row t the gradients of step t
    small = Script(
        start={n: r[0] for n, r in zip(names, rows, strict=True)},
        groups=tuple(dataclasses.replace(g, names=(n,)) for g, n in zip(script.groups, names, strict=True)),
        steps=tuple(
            Step({n: r[t] for n, r in zip(names, rows, strict=True)}, s.events)
            for t, s in enumerate(script.steps, 1)
        ),
    )

    def spread(values: Mapping[str, Value]) -> dict[str, Value]:
        return {
            n: build(shape(script.start[n]), [values[names[group]][i] for i in at])
            for n, (group, at) in places.items()
            if names[group] in values
        }

    def expand(trace: Trace) -> Trace:
        steps = []
        for m in trace.steps:
            slots = {slot for s in m.state.values() for slot in s}
            state: dict[str, dict[str, Value]] = {n: {} for n in script.names}
            for slot in slots:
                for n, v in spread({p: s[slot] for p, s in m.state.items() if slot in s}).items():
                    state[n][slot] = v
            steps.append(
                dataclasses.replace(
                    m, before=spread(m.before), point=spread(m.point), gradients=spread(m.gradients),
                    w=spread(m.w), state=state,
                )
            )  # fmt: skip
        return dataclasses.replace(trace, script=script, start=script.start, steps=tuple(steps))

    return small, expand
