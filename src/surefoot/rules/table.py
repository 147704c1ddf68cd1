"""All rules by name."""

from __future__ import annotations

from surefoot.errors import unknown
from surefoot.rules.adaptive import ADAPTIVE
from surefoot.rules.rule import Rule
from surefoot.rules.sgd import SGD_FAMILY

__all__ = ["RULES", "get"]

RULES: dict[str, Rule] = {x.name: x for x in (*SGD_FAMILY, *ADAPTIVE)}


def get(name: str | Rule) -> Rule:
    """The rule of that name or alias; a Rule is given back as it is.

    Args:
        name: `torch`, `P`, `AdamW` …; for names small and capital letters are the same.

    Returns:
        The Rule.

    Raises:
        InputError: there is none; the sentence names the nearest.

    Example:
        >>> get("P").name, get("AdamW").name
        ('torch', 'adamw')
    """
    if isinstance(name, Rule):
        return name
    for found in RULES.values():
        if name in found.aliases or name.lower() in (found.name, *found.aliases):
            return found
    raise unknown("rule", name, RULES)
