"""One training at a time: random states, threads and signals belong to the whole process."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["alone"]

P = ParamSpec("P")
T = TypeVar("T")

_ONE = threading.RLock()  # a model that trains another within its step is one training


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """Let calls from other threads wait until this one has ended."""

    @functools.wraps(function)
    def waiting(*given: P.args, **named: P.kwargs) -> T:
        with _ONE:
            return function(*given, **named)

    return waiting
