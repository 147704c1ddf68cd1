"""The module of a frame, which torch asks for while it is imported, found in no time."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

__all__ = ["quick_frames"]

_search = inspect.getmodule
_lock = threading.Lock()
_importing = 0  # how many import torch just now


@contextlib.contextmanager
def quick_frames() -> Iterator[None]:
    """Inside `with`, inspect finds the module of a frame by its name.

    torch asks where its operators are registered. inspect then resolves the paths of all modules that it does
    not know yet, first of all of them a thousand: 40 ms of torch's import, and as much of torch._dynamo's.
    """
    global _importing
    with _lock:
        _importing += 1
        inspect.getmodule = _module_of
    try:
        yield
    finally:
        with _lock:
            _importing -= 1
            if not _importing:
                inspect.getmodule = _search


def _module_of(object: Any, _filename: str | None = None) -> ModuleType | None:
    if isinstance(object, FrameType):
        return sys.modules.get(object.f_globals.get("__name__", ""))
    return _search(object, _filename)
