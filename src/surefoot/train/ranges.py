"""What each number of a run may be: the one place where it is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from surefoot.errors import InputError

__all__ = ["RANGES", "check", "check_parts", "spoken"]

_Range = tuple[Callable[[float], bool], str]  # whether a number is inside, and how that is said

_COUNT: _Range = (lambda v: v >= 1, "at least 1")
_POSITIVE: _Range = (lambda v: 0 < v < math.inf, "a finite number above 0")
_SHARE: _Range = (lambda v: 0 <= v < 1, "at least 0 and below 1")

RANGES: dict[str, _Range] = {
    "split_seed": (lambda v: 0 <= v < 2**32, "from 0 to 4294967295"),
    "train_fraction": (lambda v: 0 < v < 1, "above 0 and below 1"),
    "hidden": _COUNT,
    "dropout": _SHARE,
    "lr": _POSITIVE,
    "momentum": _SHARE,
    "dampening": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "weight_decay": (lambda v: 0 <= v < math.inf, "a finite number of at least 0"),
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "lr_factor": _POSITIVE,
    "clip": _POSITIVE,
    "accumulate": _COUNT,
    "seed": (lambda v: 0 <= v < 2**63, "from 0 to 2**63 - 1"),
    "threads": (lambda v: 1 <= v <= 1024, "from 1 to 1024"),
}


_SPOKEN = {
    "hidden": "hidden size",
    "epochs": "number of epochs",
    "threads": "number of threads",
    "clip": "clipping norm",
    "accumulate": "number of parts to accumulate",
    "train_fraction": "training fraction",
    "out": "run folder",
}


def spoken(name: str) -> str:
    """An option's name in a sentence."""
    return _SPOKEN.get(name, name.replace("_", " "))


def check(**values: Any) -> None:
    """Raise an InputError for the first of `values` that is out of its range; None is in range.

    Example:
        >>> check(lr=0.1, momentum=0.9, clip=None)
        >>> check(batch_size=0)
        Traceback (most recent call last):
        surefoot.errors.InputError: The batch size must be at least 1, not 0.
    """
    for name, value in values.items():
        inside, rule = RANGES[name]
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not inside(number):
                raise InputError(f"The {spoken(name)} must be {rule}, not {number}.")


def check_parts(batch_size: int, accumulate: int) -> None:
    """Raise an InputError if a batch has fewer rows than it is to be taken in parts."""
    if accumulate > batch_size:
        raise InputError(
            f"A batch of {batch_size:,} rows cannot be taken in {accumulate:,} parts;"
            " accumulate at most as many parts as it has rows."
        )
