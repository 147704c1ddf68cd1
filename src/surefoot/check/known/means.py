"""How means and roots are got wrong, and the words for it that several rules share."""

from __future__ import annotations

import math
from typing import Any

from surefoot.rules.numbers import sqrt

__all__ = ["BESIDES", "CLAMPED", "CONSTANTS", "UPHILL", "mixed", "root", "swapped", "whole"]

CONSTANTS = (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)  # what is usual for ε, put in a second time as a number
UPHILL = "the step goes uphill: the update is added, not subtracted"
BESIDES = "a constant of {:g} is added under the root, in addition to ε"
CLAMPED = "the root is clamped to at least ε, where ε should be added to it"


def mixed(share: Any, mean: Any, new: Any) -> Any:
    """The mean as it should be."""
    return share * mean + (1 - share) * new


def whole(share: Any, mean: Any, new: Any) -> Any:
    """What is new enters whole."""
    return share * mean + new


def swapped(share: Any, mean: Any, new: Any) -> Any:
    """The share is that of what is new."""
    return mixed(1 - share, mean, new)


def root(x: Any) -> Any:
    """√x; NaN below 0, as torch has it, where a rule that is right takes no root."""
    return x * math.nan if x < 0 else sqrt(x)
