"""One training at a time: random states, threads and signals belong to the whole process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["alone"]

P = ParamSpec("P")
T = TypeVar("T")

_ONE = threading.RLock()  # a model that trains another within its step is one training


def _renew() -> None:
    """A forked process has none of the other threads, one of which may hold the lock for ever."""
    global _ONE
    _ONE = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """Let calls from other threads wait until this one has ended."""

    @functools.wraps(function)
    def waiting(*given: P.args, **named: P.kwargs) -> T:
        with _ONE:
            return function(*given, **named)

    return waiting
