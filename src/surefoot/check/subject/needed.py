"""Values for options that have no default, so that an optimizer can be examined without being told them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from surefoot.check.options.hypers import KNOWN, MEANT, RATES, SYNONYMS

__all__ = ["usual_values"]

_AMBIGUOUS = ("decay", "delta", "damping", "nu", "tau")  # each is something else in some optimizer


def usual_values(required: Sequence[str], offered: Collection[str]) -> dict[str, Any]:
    """Return a value for each required option whose name tells what it is.

    Args:
        required: options without a default.
        offered: all options, with and without one.
    """
    rates = [o for o in offered if _known(o) == "lr"]
    rates = rates or [o for rate in RATES for o in required if o.lower() == rate][:1]
    meant = {o: "lr" if o in rates else _known(o) or _likely(o) for o in required}
    return {o: KNOWN[h].usual for o, h in meant.items() if h is not None}


def _known(option: str) -> str | None:
    name = option.lower()
    return name if name in KNOWN and KNOWN[name].usual is not None else SYNONYMS.get(name)


def _likely(option: str) -> str | None:
    if option.lower() in _AMBIGUOUS:
        return None
    return next((h for h, names in MEANT.items() if h != "lr" and option.lower() in names), None)
