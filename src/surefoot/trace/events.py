"""What can happen to an optimizer in one step: gradients, and before them events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

from surefoot.errors import InputError
from surefoot.trace.values import Value, constant, exact, shape, too_long

__all__ = ["Event", "Group", "Move", "Option", "Reload", "Set", "Step", "read_option", "runs", "show", "tell"]

T = TypeVar("T")

Option: TypeAlias = Any  # Fraction, bool, str, None, or a tuple of Fractions (betas)


@dataclass(frozen=True)
class Group:
    """Parameters that share their options; `joins` is the step before which it is added to the optimizer."""

    names: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    joins: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "options", {k: read_option(v, k) for k, v in self.options.items()})


@dataclass(frozen=True)
class Set:
    """An option is changed, as a learning rate schedule does; in one group, or (group=None) in all."""

    option: str
    value: Option
    group: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", read_option(self.value, self.option))

    def meant(self, count: int) -> Sequence[int]:
        """Which of so many groups are meant, by their indices."""
        return range(count) if self.group is None else [self.group]


@dataclass(frozen=True)
class Move:
    """A parameter gets a new value from outside, in place, as when weights are loaded or clipped."""

    name: str
    value: Value

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", exact(self.value, self.name))


@dataclass(frozen=True)
class Reload:
    """The optimizer's state_dict is copied and loaded into a new one, which goes on with the parameters."""


Event: TypeAlias = Set | Move | Reload


@dataclass(frozen=True)
class Step:
    """One call of `optimizer.step()`: first the events, in order, then the gradients are set, then the step.

    A name that is not in `gradients` has `grad` None at this step. `gradients=None`: the script's function is
    differentiated.
    """

    gradients: Mapping[str, Value] | None = None
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        if self.gradients is not None:
            given = {
                n: exact(g, f"the gradient of {n!r}") for n, g in self.gradients.items() if g is not None
            }
            object.__setattr__(self, "gradients", given)
        object.__setattr__(self, "events", tuple(self.events))

    @property
    def given(self) -> Mapping[str, Value]:
        """The gradients that are given; none where a function is differentiated."""
        return self.gradients or {}


def show(value: Any) -> str:
    """Write a value or an option compactly: a fraction as a decimal if that is exact, or as the float it is.

    Example:
        >>> show((Fraction(1, 8), Fraction(1, 3), Fraction(0.9), True))
        '(0.125, 1/3, 0.9, True)'
    """
    if isinstance(value, tuple) and (number := constant(value)) is not None:
        return f"full({' × '.join(map(str, shape(value)))}, {show(number)})"
    if isinstance(value, tuple):
        return "(" + ", ".join(show(v) for v in value) + ")"
    if isinstance(value, Fraction):
        decimal = f"{float(value):.12g}"
        if Fraction(decimal) == value:
            return decimal
        return repr(float(value)) if Fraction(float(value)) == value else str(value)
    return str(value)


def brief(value: Any, most: int = 3) -> str:
    """Write a value for a glance: six digits of a number, and of many elements the first ones.

    Example:
        >>> brief((Fraction(1, 3), Fraction(-2), Fraction(0), Fraction(5))), brief(Fraction(10) ** 400)
        ('(0.333333, -2, 0, …)', 'very large')
    """
    if isinstance(value, tuple):
        return "(" + ", ".join([brief(v, most) for v in value[:most]] + ["…"] * (len(value) > most)) + ")"
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return "very large"
    except TypeError:  # a symbol
        return str(value)


def tell(event: Event) -> str:
    """Say what happens, in a few words."""
    if isinstance(event, Set):
        where = "" if event.group is None else f" of group {event.group}"
        return f"{event.option}{where} := {show(event.value)}"
    if isinstance(event, Move):
        return f"{event.name} moved to {show(event.value)}"
    return "saved and loaded"


def runs(said: Sequence[T]) -> Iterator[tuple[int, int, T]]:
    """Yield what is said of steps, counted from 1, as (first, last, what): three or more alike as one.

    Example:
        >>> list(runs("aaab"))
        [(1, 3, 'a'), (4, 4, 'b')]
    """
    for what, alike in itertools.groupby(enumerate(said, 1), key=lambda pair: pair[1]):
        steps = [t for t, _ in alike]
        if len(steps) > 2:
            yield steps[0], steps[-1], what
        else:
            yield from ((t, t, what) for t in steps)


def read_option(value: Any, name: str) -> Option:
    """Read an option: numbers exactly; booleans, None and other strings as they are."""
    if value is None or isinstance(value, bool):
        return value
    try:
        return exact(value, name)
    except InputError:
        if isinstance(value, str) and not too_long(value):  # "decoupled"
            return value
        raise
