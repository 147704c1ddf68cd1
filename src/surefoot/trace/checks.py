"""Whether the parts of a Script fit together: names, groups, shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from surefoot.errors import InputError
from surefoot.trace.events import Move, Set
from surefoot.trace.values import Value, shape

if TYPE_CHECKING:
    from surefoot.trace.script import Script

__all__ = ["check_parts"]


def check_parts(script: Script) -> None:
    """Raise InputError unless the parts of a Script fit together."""
    shapes = {n: shape(v) for n, v in script.start.items()}
    owners = [n for group in script.groups for n in group.names]
    for name in [*owners, *script.dtypes]:
        if name not in shapes:
            raise InputError(f"{name!r} has no start value; there are: {', '.join(shapes)}.")
    for name in shapes:
        if owners.count(name) != 1:
            raise InputError(f"{name!r} is in {owners.count(name)} groups, but must be in exactly one.")
    for t, step in enumerate(script.steps, 1):
        if step.gradients is None and script.function is None:
            raise InputError(f"Step {t} has no gradients, and the script no function to differentiate.")
        _check_values(step.given, shapes, f"the gradient of {{!r}} at step {t}")
        for event in step.events:
            if isinstance(event, Move):
                _check_values({event.name: event.value}, shapes, f"the new value of {{!r}} at step {t}")
            elif isinstance(event, Set) and event.group not in (None, *range(len(script.groups))):
                raise InputError(
                    f"Step {t} sets {event.option} of group {event.group}, "
                    f"but the groups are 0 to {len(script.groups) - 1}."
                )


def _check_values(given: Mapping[str, Value], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    for name, value in given.items():
        label = what.format(name)
        if name not in shapes:
            raise InputError(
                f"There is {label}, but no start value of that name; there are: {', '.join(shapes)}."
            )
        if (got := shape(value, label)) != shapes[name]:
            raise InputError(
                f"{label[0].upper()}{label[1:]} has shape {got}, but {name!r} has shape {shapes[name]}."
            )
