"""The smallest script that still fails.

"Smaller" is a written order: fewer steps, then fewer tensors, then fewer elements, then fewer events and
options that are not off, then simpler values (0 before 1 before other whole numbers before fractions).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from surefoot.check.arithmetic.smaller import smaller
from surefoot.trace import Move, Script, Set
from surefoot.trace.values import elements, shape

__all__ = ["shrink", "size"]

Size = tuple[int, int, int, int, int]


def shrink(
    script: Script,
    fails: Callable[[Script], bool],
    *,
    off: Mapping[str, Any],
    tries: int = 300,
    seconds: float = 5.0,
) -> Script:
    """Make a failing script as small as it goes, in the order above.

    Args:
        script: a script that fails.
        fails: whether a script still fails; one that cannot be played does not.
        off: option → the value that switches it off; an option without one stays.
        tries: how many smaller scripts to try; what is smallest by then is given back.
        seconds: the same in time, for an optimizer that is slow.

    Returns:
        A script that fails, no larger than the one given.

    Example:
        >>> big = Script.of({"w": [3, 1]}, gradients=[{"w": [1, 2]}] * 4, lr="1/4", momentum="3/4")
        >>> print(shrink(big, lambda s: len(s.steps) > 1, off={"momentum": 0}))
        start  w = 0
        group  w: lr = 1, momentum = 0
        step 1: w.grad = 0
        step 2: w.grad = 0
    """
    deadline = time.monotonic() + seconds
    improved = True
    while improved:
        improved = False
        for other in smaller(script, off):
            if size(other, off) >= size(script, off):
                continue
            if tries <= 0 or time.monotonic() > deadline:
                return script
            tries -= 1
            if fails(other):
                script, improved = other, True
                break
    return script


def size(script: Script, off: Mapping[str, Any]) -> Size:
    """How large a script is, in the order in which scripts are made smaller."""
    switched = sum(v != off.get(k, ...) for g in script.groups if g.names for k, v in g.options.items())
    events = sum(len(s.events) for s in script.steps) + script.reuse_gradients + len(script.dtypes)
    values = [*script.start.values(), *(g for s in script.steps for g in s.given.values())]
    values += [e.value for s in script.steps for e in s.events if isinstance(e, Move)]
    numbers = [
        v for g in script.groups if g.names for v in g.options.values() if not isinstance(v, (bool, str))
    ]
    numbers += [e.value for s in script.steps for e in s.events if isinstance(e, Set)]
    return (
        len(script.steps),
        len(script.start) + sum(bool(g.names) for g in script.groups),
        sum(1 + len(shape(v)) for v in script.start.values() for _ in elements(v)),
        switched + events,
        sum(_effort(x) for v in (*values, *numbers) for x in elements(v)),
    )


def _effort(x: Any) -> int:
    """How hard a number is to read: 0, 1, −1, 2, 3 …, then fractions."""
    if not isinstance(x, Fraction):
        return 0
    return abs(x.numerator) + (x < 0) + 4 * (x.denominator.bit_length() - 1)
