"""One training at a time: random states, threads and signals belong to the whole process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["alone"]

_ONE = threading.RLock()  # a model that trains another within its step is one training


def _renew() -> None:
    """A forked process has none of the other threads, one of which may hold the lock for ever."""
    global _ONE
    _ONE = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def alone() -> Iterator[None]:
    """Let other threads wait at this `with` until this one has left it."""
    with _ONE:
        yield
