"""All rules by name."""

from __future__ import annotations

import inspect
from typing import Any

from surefoot.errors import InputError, headline, unknown
from surefoot.loading import user_module
from surefoot.rules.adaptive import ADAPTIVE
from surefoot.rules.rule import Rule
from surefoot.rules.sgd import CLASSICAL, SGD_FAMILY

__all__ = ["RULES", "get"]

RULES: dict[str, Rule] = {x.name: x for x in (*SGD_FAMILY, *ADAPTIVE)}


def get(name: str | Rule) -> Rule:
    """The rule of that name or alias, or of the user's own; a Rule is given back as it is.

    Args:
        name: `torch`, `P`, `AdamW` …, where small and capital letters are the same, and - and _; or
            `file.py:name`, or `package.module:name`, for what was made with `@rule` there.

    Returns:
        The Rule.

    Raises:
        InputError: there is none (the sentence names the nearest), or the file cannot be imported.

    Example:
        >>> get("P").name, get("AdamW").name
        ('torch', 'adamw')
        >>> get("keras").hyper().decay, get("caffe").hyper().decay
        ('decoupled', 'l2')
    """
    if isinstance(name, Rule):
        return name
    if not isinstance(name, str):
        raise InputError(f"A rule must be a name, such as 'torch', or a Rule, not {name!r}.")
    for found in (CLASSICAL, *RULES.values()):  # its names are keras's too, with another decay
        if _plain(name) in map(_plain, (found.name, *found.aliases)):
            return found
    if _plain(name) in ("nesterov", "nag"):
        raise InputError(
            f"{name!r} is not a rule: Nesterov's momentum is an option of sgd, with momentum 0.9 and"
            " nesterov (--momentum 0.9 --nesterov; in Python momentum=0.9, nesterov=True)."
        )
    where, colon, own = name.rpartition(":")
    if not colon:
        aliases = (a for r in RULES.values() for a in r.aliases if len(a) > 2)
        raise unknown("rule", name, {*RULES, *aliases})
    there = _names(where)
    rules = {k: v for k, v in there.items() if isinstance(v, Rule)}
    if own not in rules and inspect.isfunction(there.get(own)):
        raise InputError(f"{own} in {where} is a function, not a rule; write @surefoot.rule above it.")
    if own not in rules:
        raise unknown(f"rule in {where}", own, rules)
    return rules[own]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _names(where: str) -> dict[str, Any]:
    """What a file or a module defines."""
    try:
        return vars(user_module(where))
    except (Exception, SystemExit) as error:
        raise InputError(f"{where} cannot be imported: {headline(error)}.") from error
