"""Trace: what an optimizer, or a rule, made of a Script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from surefoot.trace.events import Option, brief
from surefoot.trace.script import Script
from surefoot.trace.values import Value

__all__ = ["Moment", "Trace"]


@dataclass(frozen=True)
class Moment:
    """One step: what it found, what it was given, what it left.

    Args:
        options: for each group, the options in force.
        before: name → w when the step began, after the events.
        point: name → where the gradient was taken: `before`, unless the rule looks ahead.
        gradients: name → gradient; a name without one was skipped.
        w: name → w after the step.
        state: name → slot → value after the step; a slot that does not exist yet is left out.
    """

    options: tuple[Mapping[str, Option], ...]
    before: Mapping[str, Value]
    point: Mapping[str, Value]
    gradients: Mapping[str, Value]
    w: Mapping[str, Value]
    state: Mapping[str, Mapping[str, Value]]

    def __repr__(self) -> str:
        """Short: where the step ended."""
        return f"<Moment: {_point(self.w)}>"


@dataclass(frozen=True)
class Trace:
    """A Script played: one Moment for each of its steps.

    Args:
        script: what was played.
        label: who played it, e.g. "torch" or "MySGD in float64".
        start: name → w before the first step (rounded, when it was recorded).
        steps: step 1 is `steps[0]`.
        dtypes: name → dtype, when it was recorded from an optimizer; empty when it is a rule's.
        state_dtypes: slot → dtype, of slots that are tensors of floating point; likewise.
    """

    script: Script
    label: str
    start: Mapping[str, Value]
    steps: tuple[Moment, ...]
    dtypes: Mapping[str, str] = field(default_factory=dict)
    state_dtypes: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Short: who played how much, and where it ended."""
        n, end = len(self.steps), self.steps[-1].w if self.steps else self.start
        return f"<Trace of {self.label}: after {n} step{'' if n == 1 else 's'} {_point(end)}>"

    def state_before(self, step: int) -> Mapping[str, Mapping[str, Value]]:
        """Return the state that a step found: what the step before it left, nothing at step 1."""
        return self.steps[step - 2].state if step > 1 else {}


def _point(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {brief(value)}" for name, value in values.items())
