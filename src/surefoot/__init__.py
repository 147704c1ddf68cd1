"""surefoot: SGD with momentum that you can check, and use.

Importing surefoot imports nothing heavy: each public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "SGD": "surefoot.optim",
    "fit": "surefoot.train",
}
__all__ = ["SGD", "__version__", "fit"]

if TYPE_CHECKING:
    from surefoot.optim import SGD
    from surefoot.train import fit


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'surefoot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
