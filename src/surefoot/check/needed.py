"""Values for options that have no default, so that an optimizer can be examined without being told them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from surefoot.check.protocol import LR
from surefoot.check.words import MEANT, RATES, SYNONYMS

__all__ = ["usual_values"]

_VALUES: dict[str, Any] = {
    "lr": LR,
    "momentum": 0.9,
    "dampening": 0,
    "weight_decay": 0,
    "nesterov": False,
    "maximize": False,
    "betas": (0.9, 0.999),
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "alpha": 0.99,
    "rho": 0.9,
    "amsgrad": False,
    "centered": False,
    "lr_decay": 0,
    "initial_accumulator_value": 0,
    "momentum_decay": 0.004,
}


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
    return {o: _VALUES[h] for o, h in meant.items() if h is not None}


def _known(option: str) -> str | None:
    name = option.lower()
    return name if name in _VALUES else SYNONYMS.get(name)


def _likely(option: str) -> str | None:
    if option.lower() in _AMBIGUOUS:
        return None
    return next((h for h, names in MEANT.items() if h != "lr" and option.lower() in names), None)
