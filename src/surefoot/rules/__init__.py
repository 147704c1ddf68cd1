"""Update rules: each one a pure formula, readable as the mathematics, that runs on any kind of number."""

from __future__ import annotations

from surefoot.errors import unknown
from surefoot.rules.adaptive import ADAPTIVE
from surefoot.rules.define import rule
from surefoot.rules.hyper import DECAYS, H, Hyper
from surefoot.rules.rule import Line, Rule, Slot
from surefoot.rules.sgd import SGD_FAMILY

__all__ = ["DECAYS", "RULES", "H", "Hyper", "Line", "Rule", "Slot", "get", "rule"]

RULES: dict[str, Rule] = {x.name: x for x in (*SGD_FAMILY, *ADAPTIVE)}


def get(name: str | Rule) -> Rule:
    """The rule of that name or alias; a Rule is given back as it is.

    Raises:
        InputError: there is none; the sentence names the nearest.

    Example:
        >>> get("P").name
        'torch'
    """
    if isinstance(name, Rule):
        return name
    for found in RULES.values():
        if name == found.name or name in found.aliases:
            return found
    raise unknown("rule", name, RULES)
