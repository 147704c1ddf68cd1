"""State that is read before anything has been written into it."""

from __future__ import annotations

import re

__all__ = ["MEND_UNSET", "UNSET", "read_unset"]

UNSET = "state[{!r}] is read before step() has written it: self.state[p] is empty at a first step."
MEND_UNSET = "Begin with it: if {0!r} not in state: state[{0!r}] = torch.zeros_like(p)."
MISSED = re.compile(r"KeyError: '(\w+)'")


def read_unset(what: str, line: str) -> str:
    """The key of the state that a step missed; "" if it missed something else, or nothing.

    Args:
        what: the exception that was raised.
        line: the line that raised it.

    Example:
        >>> read_unset("KeyError: 'v'", 'line 18: v = momentum * state["v"] + p.grad')
        'v'
    """
    found = MISSED.fullmatch(what)
    if not found:
        return ""
    read = re.search(rf"(\w+|\])\[['\"]{found[1]}['\"]\]", line)
    return "" if read is None or "group" in read[1] or "default" in read[1] else found[1]
