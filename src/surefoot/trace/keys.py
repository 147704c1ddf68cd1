"""Options as an optimizer's groups hold them, where its constructor calls them otherwise.

`learning_rate` may be `lr` in the groups, and `beta_1` and `beta_2` the two places of `betas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["Key", "held"]

# the key; or the key of a tuple, the place in it, and what the tuple is by default
Key: TypeAlias = "str | tuple[str, int, tuple[Any, ...]]"


def held(options: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return options by the keys that groups hold them under.

    Example:
        >>> held({"rate": 1, "beta_2": 0.5}, {"rate": "lr", "beta_2": ("betas", 1, (0.9, 0.999))})
        {'lr': 1, 'betas': (0.9, 0.5)}
    """
    found: dict[str, Any] = {}
    for option, value in options.items():
        key = keys.get(option, option)
        if isinstance(key, str):
            found[key] = value
        else:
            name, place, usual = key
            parts = list(found.get(name, usual))
            parts[place] = value
            found[name] = tuple(parts)
    return found
