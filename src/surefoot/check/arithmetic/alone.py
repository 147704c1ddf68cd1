"""Whether an element of a tensor is stepped as it would be alone: by no rule do elements depend on others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from surefoot.check.arithmetic.recording import Recorder
from surefoot.trace import Trace
from surefoot.trace.values import Value, elements

__all__ = ["BESIDE_OTHERS", "beside_others"]

BESIDE_OTHERS = (
    "An element is stepped differently in a larger tensor than alone: look for code that depends on the "
    "whole tensor, such as its mean(), its norm() or its size."
)


def beside_others(recorder: Recorder, traces: Sequence[Trace]) -> bool:
    """Whether in one of these recordings, of one tensor each, an element steps otherwise than if alone."""
    return any(_parted(recorder, trace) for trace in traces[:3] if len(trace.script.names) == 1)


def _parted(recorder: Recorder, together: Trace) -> bool:
    (name,) = together.script.names
    count, dtype = len(list(elements(together.start[name]))), together.dtypes.get(name, "float64")
    again = recorder.play(together.script, dtype).trace
    if again is None or [m.w for m in again.steps] != [m.w for m in together.steps]:
        return False  # it goes by chance
    for i in range(count if count > 1 else 0):

        def pick(_: str, vector: Value, i: int = i) -> Value:
            assert isinstance(vector, tuple), "the scripts hold vectors, or columns"
            return vector[i : i + 1]

        alone = recorder.play(together.script.map(pick), dtype).trace
        if alone is None:
            return False
        pairs = zip(together.steps, alone.steps, strict=True)
        if not all(_near(list(elements(m.w[name]))[i], next(iter(elements(a.w[name])))) for m, a in pairs):
            return True
    return False


def _near(a: float, b: float) -> bool:
    return (a != a and b != b) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
