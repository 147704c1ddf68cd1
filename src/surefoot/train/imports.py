"""torch without the shapes of its operators, which training never asks for: a fifth of its import.

`torch._meta_registrations` tells the shape that each operator's result would have: for tensors without data
(device "meta"), torch.export and torch.compile. It is left out where only surefoot's own code will run, and
comes in before anything may want it: `whole` is called before a user's module is loaded or a step traced.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from surefoot.frames import quick_frames
from surefoot.loading import before_torch

__all__ = ["STRICT", "lean", "strict", "whole", "x86"]

STRICT = "AUTO,STRICT"

_SHAPES = "torch._meta_registrations"


class _Later(ModuleType):
    """In the place of that module while torch is imported; becomes it if anything is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(whole(), name)


def lean() -> None:
    """Import torch, but for the shapes; what is imported already stays as it is."""
    if "torch" in sys.modules:
        return
    before_torch()
    later = sys.modules[_SHAPES] = _Later(_SHAPES)
    try:
        with quick_frames():
            torch = importlib.import_module("torch")
    finally:
        if sys.modules.get(_SHAPES) is later:
            del sys.modules[_SHAPES]
    if vars(torch).get("_meta_registrations") is later:
        del torch._meta_registrations


def strict(setting: str | None = STRICT) -> None:
    """Before torch is imported: let products of matrices have the same bits by any number of threads.

    Intel's MKL promises so when asked, on processors of theirs. On AMD's it does what it promises there, the
    same bits each time by the same number of threads, and most products have the same by any: in a search on
    Zen 3 98 % of shapes, and of the others nearly every try on random numbers showed it. So a step is tried
    before it is shared. A small model's products take the same time. They are other bits than those of one
    thread unasked.

    Args:
        setting: what MKL is asked; None asks nothing.
    """
    if setting is not None and "torch" not in sys.modules and x86():
        os.environ.setdefault("MKL_CBWR", setting)


def x86() -> bool:
    """Whether the processor is Intel's or AMD's, where the system says so in a file."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        first = file.read(200)  # of the first core; on a large machine the whole takes long
        return "GenuineIntel" in first or "AuthenticAMD" in first
    return False


def whole() -> ModuleType:
    """Import what `lean` left out, if anything."""
    if isinstance(sys.modules.get(_SHAPES), _Later):
        del sys.modules[_SHAPES]
    return importlib.import_module(_SHAPES)
