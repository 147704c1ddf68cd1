"""Pictures of runs and of steps, each a function in a module of its own, as `surefoot.plot.curves.curves`."""

from __future__ import annotations

import importlib
from types import ModuleType

_MODULES = ("curves", "impulse", "paths", "rates", "traces", "values")


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:  # importing one binds it here
        return importlib.import_module(f"surefoot.plot.{name}")
    raise AttributeError(f"module 'surefoot.plot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
