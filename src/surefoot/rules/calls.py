"""A rule with its hyperparameters as a call, and what the library of that name refuses of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from surefoot.rules.candidates import exact
from surefoot.rules.hyper import H
from surefoot.rules.rule import Rule
from surefoot.rules.table import get

__all__ = ["call", "refused", "show"]

LIBRARIES = {"torch": "torch.optim.SGD", "mlx": "mlx.optimizers.SGD"}


def show(x: Any) -> str:
    """A number as a decimal, or if that has no end as a decimal and a fraction."""
    if not isinstance(x, Fraction):
        return str(x)
    short = f"{float(x):.12g}"
    return short if Fraction(short) == x else f"{float(x):.6g} ({x})"


def call(rule: Rule, h: H) -> str:
    """`torch(lr=0.1, momentum=0.9)`: lr, momentum, and what is not as usual."""
    usual = rule.hyper().map(exact)
    hidden = {"decay"} if h.get("weight_decay") == 0 else set()
    hidden |= set() if h.get("weight_decay") and h.get("decay") == "corrected" else {"lr_max"}
    shown = {k: v for k, v in h.items() if (k in ("lr", "momentum") or v != usual[k]) and k not in hidden}
    return f"{rule.name}({', '.join(f'{k}={show(v)}' for k, v in shown.items())})"


def refused(rule: Rule, h: H) -> str:
    """What the library itself does not do as the formula does, or "": `MLX itself refuses …`."""
    library = next((x for name, x in LIBRARIES.items() if rule.formula is get(name).formula), None)
    if library is None:
        return ""
    if h.nesterov and h.dampening:
        return f"{library} itself refuses nesterov with dampening"
    if h.nesterov and not h.momentum:
        return f"{library} itself refuses nesterov without momentum"
    if rule.formula is get("mlx").formula and h.momentum and h.dampening < 0:
        return f"{library} itself treats a dampening below 0 as 0"
    return ""
