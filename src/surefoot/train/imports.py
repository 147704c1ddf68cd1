"""torch without what training never asks for: a quarter of its import.

`torch._meta_registrations` tells the shape that each operator's result would have: for tensors without data
(device "meta"), torch.export and torch.compile. The others are asked for by their names alone. They are left
out where only surefoot's own code will run, and come in before anything may want them: `whole` is called
before a user's module is loaded or a step traced.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from surefoot.frames import quick_frames
from surefoot.loading import before_torch

__all__ = ["STRICT", "lean", "strict", "whole", "x86"]

STRICT = "AUTO,STRICT"

_LEFT_OUT = (
    "torch._meta_registrations",
    "torch.distributions",
    "torch.export",
    "torch.masked",
    "torch.nn.intrinsic",
    "torch.quantization",
)


class _Later(ModuleType):
    """In the place of such a module, until anything is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _Later):
        del sys.modules[name]
    return importlib.import_module(name)


def lean() -> None:
    """Import torch, but for what is left out; what is imported already stays as it is."""
    if "torch" in sys.modules:
        return
    before_torch()
    sys.modules.update({name: _Later(name) for name in _LEFT_OUT})
    try:
        with quick_frames():
            importlib.import_module("torch")
    finally:
        for name in _LEFT_OUT:  # who imports it now gets it; who finds it in torch does by asking it anything
            if isinstance(later := sys.modules.get(name), _Later):
                del sys.modules[name]
                parent, _, child = name.rpartition(".")
                if parent in sys.modules:  # torch could be imported
                    vars(sys.modules[parent]).setdefault(child, later)


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


def whole() -> None:
    """Import what `lean` left out, if anything."""
    for name in _LEFT_OUT:
        if importlib.util.find_spec(name) is not None:  # not every torch has all of them
            _real(name)
