"""Loops that end too early: what `return` and `break` leave unstepped, and how that is mended."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["AT_MISSING", "ONLY_FIRST", "mend_first", "mend_missing"]

ONLY_FIRST = "is stepped, as where a `return` or `break` ends the loop after it"
AT_MISSING = "the first parameter without a gradient ends the loop"


def mend_first(leaves: Mapping[str, bool]) -> str:
    """How to mend a step() that steps the first and no other.

    Args:
        leaves: the lines of step() that leave a loop → whether only under a condition.

    Example:
        >>> mend_first({"line 9: return loss": False})
        'The loop must not end at line 9: return loss; move a `return` after the loops, and remove a `break`.'
    """
    lines = [line for line, conditional in leaves.items() if not conditional]
    if lines:
        return (
            f"The loop must not end at {' and '.join(lines)}; move a `return` after the loops, and remove a "
            "`break`."
        )
    return (
        "Loop over all of self.param_groups, and over all of group['params']; inside a loop, `return` and "
        "`break` end it."
    )


def mend_missing(leaves: Mapping[str, bool]) -> str:
    """How to mend a step() that goes no further than the first missing gradient; `leaves` as above.

    Example:
        >>> mend_missing({"line 16: break": True})
        'Where p.grad is None write `continue`, which passes over one parameter (now line 16: break).'
    """
    lines = [line for line, conditional in leaves.items() if conditional]
    now = f" (now {' and '.join(lines)})" if lines else ""
    return f"Where p.grad is None write `continue`, which passes over one parameter{now}."
