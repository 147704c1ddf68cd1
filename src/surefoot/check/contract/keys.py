"""Under which key its groups hold an option: a port may say `learning_rate`, and keep it as `lr`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surefoot.check.contract.clause import Make
from surefoot.check.contract.tools import is_one, weight

__all__ = ["group_keys"]

NUMBERS = (0.125, 0.0625)  # what an option is given, the one and the other time
PAIRS = ((0.5, 0.75, 0.625), (0.75, 0.5, 0.875))


def group_keys(make: Make, options: Mapping[str, Any]) -> dict[str, str]:
    """Find the keys of those options, given with values of their kind, that groups call otherwise."""
    opt = make([weight(2, 2)])
    if not is_one(opt):
        return {}
    missing = [o for o in options if o not in opt.param_groups[0]]
    return {o: key for o in missing if (key := _key(make, o, options))}


def _key(make: Make, option: str, options: Mapping[str, Any]) -> str:
    """The key whose value is what the option is given, whatever that is; "" if there is none, or several."""
    values = _values(options[option])
    numbers = [o for o, v in options.items() if o != option and isinstance(v, (int, float)) and v is not True]
    # a switch may be refused without another option, as nesterov is without momentum
    for more in ({}, *({o: NUMBERS[0]} for o in numbers)):
        try:
            groups = [make([weight(2, 2)], **{**more, option: v}).param_groups[0] for v in values]
        except MemoryError:
            raise
        except Exception:
            continue
        held = [k for k in groups[0] if all(_same(g.get(k), v) for g, v in zip(groups, values, strict=True))]
        return "lr" if "lr" in held else held[0] if len(held) == 1 else ""
    return ""


def _values(example: Any) -> tuple[Any, ...]:
    if isinstance(example, bool):
        return (True, False)
    if isinstance(example, (list, tuple)):
        return tuple(pair[: len(example)] for pair in PAIRS)
    return NUMBERS


def _same(held: Any, given: Any) -> bool:
    if isinstance(held, (list, tuple)):
        return isinstance(given, tuple) and tuple(held) == given
    return isinstance(held, (bool, int, float)) and type(held) is type(given) and held == given
