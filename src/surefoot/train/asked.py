"""Options by names that a function does not have, as one comes with them from elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from surefoot.errors import InputError, unknown
from surefoot.train.optimizers import OPTIONS

__all__ = ["asked"]

P = ParamSpec("P")
T = TypeVar("T")

_OPTIMIZERS = {"learning_rate": "lr", **{name: name for name in OPTIONS}}


def asked(function: Callable[P, T]) -> Callable[P, T]:
    """Tell of an unknown option what it may be called here, or where the optimizer's belong."""
    known = [*inspect.signature(function).parameters]

    @functools.wraps(function)
    def wrapped(*given: P.args, **named: P.kwargs) -> T:
        own = {name: value for name, value in named.items() if name in _OPTIMIZERS}
        if own and named.get("optimizer") is not None:
            raise InputError(f"{next(iter(own))} is an option of the optimizer; give it to the optimizer.")
        if own:
            options = {_OPTIMIZERS[name]: _short(value) for name, value in own.items()}
            if "nesterov" in options:  # which has nothing to look ahead with else
                options.setdefault("momentum", "0.9")
            listed = ", ".join(f"{name}={value}" for name, value in options.items())
            raise InputError(
                f"{next(iter(own))} is an option of the optimizer; give"
                f" optimizer=lambda p: surefoot.SGD(p, {listed})."
            )
        if strange := next((name for name in named if name not in known), None):
            raise unknown(f"option of {function.__name__}", strange, known)
        return function(*given, **named)

    return wrapped


def _short(value: object) -> str:
    return repr(value) if isinstance(value, (bool, int, float)) else "…"
