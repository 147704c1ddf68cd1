"""Script: everything that happens to an optimizer, in exact numbers.

A Script is played twice: `replay` gives it to a rule, `record` to a torch optimizer. It holds no torch object
and no code, so it can be printed, saved as JSON, made smaller, and written out as a few lines of plain torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from typing import Any, Protocol

from surefoot.errors import InputError
from surefoot.trace.checks import check_parts
from surefoot.trace.events import Event, Group, Move, Option, Set, Step, brief, runs, show, tell
from surefoot.trace.values import Number, Value, exact

__all__ = ["Function", "Script"]


class Function(Protocol):
    """What a Script can differentiate: a real function of named tensors, with its exact gradient."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors that it is a function of."""

    def value(self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = ...) -> Number:
        """Return f at a point."""

    def gradient(
        self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = ...
    ) -> Mapping[str, Value]:
        """Return ∇f at a point: for each name a value of that tensor's shape."""


@dataclass(frozen=True)
class Script:
    """What happens to an optimizer: start values, groups of parameters, steps.

    Args:
        start: name → start value (number or nested lists; a float means the decimal that it prints as).
        groups: each name belongs to exactly one.
        steps: in order; step 1 is `steps[0]`.
        function: what a step without gradients differentiates.
        dtypes: name → dtype, e.g. "bfloat16", for tensors that differ from the dtype of the recording.
        reuse_gradients: each parameter keeps one `.grad` tensor throughout, filled anew before a step and
            overwritten with other numbers after it, as `zero_grad(set_to_none=False)` and backward would.

    Raises:
        InputError: names, shapes or groups that do not fit together.

    Example:
        >>> gradients = [{"w": [1, 0]}, {"w": [0, 1]}]
        >>> print(Script.of({"w": [1, 2]}, gradients=gradients, lr=[0.5, 0.25], momentum=0.9))
        start  w = (1, 2)
        group  w: lr = 0.5, momentum = 0.9
        step 1: w.grad = (1, 0)
        step 2: lr := 0.25, w.grad = (0, 1)
    """

    start: Mapping[str, Value]
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    function: Function | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    reuse_gradients: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", {n: exact(v, n) for n, v in self.start.items()})
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "steps", tuple(self.steps))
        # torch.float32 itself is "float32"
        named = {n: str(d).removeprefix("torch.") for n, d in self.dtypes.items()}
        object.__setattr__(self, "dtypes", named)
        check_parts(self)

    def __repr__(self) -> str:
        """Short; `print` shows all that happens."""
        n, start = (
            len(self.steps),
            ", ".join(f"{name} = {brief(value)}" for name, value in self.start.items()),
        )
        return f"<Script: {n} step{'' if n == 1 else 's'} from {start}>"

    @classmethod
    def of(
        cls,
        start: Mapping[str, Any],
        *,
        gradients: Sequence[Mapping[str, Any]] | None = None,
        function: Function | None = None,
        steps: int | None = None,
        **options: Any,
    ) -> Script:
        """Make the usual Script: one group; an option given as a list has a value for each step.

        Args:
            start: name → start value.
            gradients: for each step, name → gradient.
            function: what to differentiate, if there are no gradients.
            steps: how many steps; by default as many as there are gradients.
            options: the group's hyperparameters. `lr=[0.1, 0.1, 0.01]` is a schedule: the last value stays.

        Returns:
            The Script.

        Raises:
            InputError: neither or both of gradients and function, or gradients for another number of steps.
        """
        if (gradients is None) == (function is None):
            raise InputError("A script requires either gradients or a function to differentiate, not both.")
        count = steps if steps is not None else len(gradients) if gradients is not None else 1
        if not isinstance(count, Integral):
            raise InputError(f"steps is {count!r}; it must be a whole number.")
        if count < 0:
            raise InputError(f"steps is {count}; it must be 0 or more.")
        if gradients is not None and len(gradients) != count:
            raise InputError(f"There are gradients for {len(gradients)} steps, but steps is {count}.")
        schedules = {k: v for k, v in options.items() if isinstance(v, list)}
        for name, values in schedules.items():
            if not values:
                raise InputError(f"The schedule of {name} is empty; give at least one value.")
        first = {k: v[0] if k in schedules else v for k, v in options.items()}
        made = []
        for t in range(count):
            changes = (Set(k, v[t]) for k, v in schedules.items() if 0 < t < len(v) and v[t] != v[t - 1])
            made.append(Step(None if gradients is None else gradients[t], tuple(changes)))
        return cls(start, (Group(tuple(start), first),), tuple(made), function)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in the order of `start`."""
        return tuple(self.start)

    def group_of(self, name: str) -> int:
        """Return the index of the group that holds a parameter."""
        return next(i for i, group in enumerate(self.groups) if name in group.names)

    def joining(self, t: int) -> list[int]:
        """Return the indices of the groups that join before step t; an empty one never does."""
        return [i for i, group in enumerate(self.groups) if group.names and max(group.joins, 1) == t]

    def map(self, change: Callable[[str, Value], Value]) -> Script:
        """Change every value of every tensor (start, gradients, moves) in the same way; shapes may change.

        Example:
            >>> s = Script.of({"w": [1, 2]}, gradients=[{"w": [3, 4]}], lr=1)
            >>> print(s.map(lambda name, value: value[:1]))
            start  w = (1)
            group  w: lr = 1
            step 1: w.grad = (3)
        """
        steps = []
        for step in self.steps:
            events = (
                Move(e.name, change(e.name, e.value)) if isinstance(e, Move) else e for e in step.events
            )
            gradients = step.gradients and {n: change(n, g) for n, g in step.gradients.items()}
            steps.append(Step(gradients, tuple(events)))
        start = {n: change(n, v) for n, v in self.start.items()}
        return dataclasses.replace(self, start=start, steps=tuple(steps))

    def select(self, names: Sequence[str]) -> Script:
        """Keep only some parameters, with what happens to them; a group keeps its place, and may be empty."""
        steps = []
        for step in self.steps:
            events = (e for e in step.events if not isinstance(e, Move) or e.name in names)
            gradients = step.gradients and {n: g for n, g in step.gradients.items() if n in names}
            steps.append(Step(gradients, tuple(events)))
        return dataclasses.replace(
            self,
            start={n: v for n, v in self.start.items() if n in names},
            groups=tuple(
                dataclasses.replace(g, names=tuple(n for n in g.names if n in names)) for g in self.groups
            ),
            steps=tuple(steps),
            dtypes={n: d for n, d in self.dtypes.items() if n in names},
        )

    def with_options(self, change: Callable[[Mapping[str, Option]], Mapping[str, Option]]) -> Script:
        """Change the options of every group in the same way.

        Example:
            >>> s = Script.of({"w": 1}, gradients=[{"w": 1}], lr=1, momentum=0.5)
            >>> s.with_options(lambda options: {**options, "momentum": 0}).groups[0].options
            {'lr': Fraction(1, 1), 'momentum': Fraction(0, 1)}
        """
        groups = (dataclasses.replace(g, options=change(g.options)) for g in self.groups)
        return dataclasses.replace(self, groups=tuple(groups))

    def with_steps(self, change: Callable[[Step], Step]) -> Script:
        """Change every step in the same way.

        Example:
            >>> s = Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 2}], lr=[1, 0.5])
            >>> s.with_steps(lambda step: Step(step.gradients)).steps[1].events
            ()
        """
        return dataclasses.replace(self, steps=tuple(map(change, self.steps)))

    def without_changes(self, options: Collection[str]) -> Script:
        """The same, in which these options stay as they are at the start."""

        def kept(event: Event) -> bool:
            return not (isinstance(event, Set) and event.option in options)

        return self.with_steps(lambda step: Step(step.gradients, tuple(filter(kept, step.events))))

    def __str__(self) -> str:
        """Say what happens, a line per group and step."""
        lines = ["start  " + ", ".join(f"{n} = {show(v)}" for n, v in self.start.items())]
        for group in self.groups:
            options = ", ".join(f"{k} = {show(v)}" for k, v in group.options.items())
            joins = f" (from step {group.joins})" if group.joins > 1 else ""
            lines.append(f"group  {', '.join(group.names)}{joins}: {options}")
        if self.dtypes:
            lines.append("dtypes " + ", ".join(f"{n} {d}" for n, d in self.dtypes.items()))
        if self.reuse_gradients:
            lines.append("each grad tensor is reused, and overwritten after each step")
        said = [self._tell(step) for step in self.steps]
        for first, last, what in runs(said):
            lines.append(f"step {first}: {what}" if first == last else f"steps {first} to {last}: {what}")
        return "\n".join(lines)

    def _tell(self, step: Step) -> str:
        parts = [tell(e) for e in step.events]
        if step.gradients is None:
            return ", ".join([*parts, "differentiate f"])
        missing = [f"{n}.grad = None" for n in self.names if n not in step.gradients]
        return ", ".join([*parts, *(f"{n}.grad = {show(g)}" for n, g in step.gradients.items()), *missing])
