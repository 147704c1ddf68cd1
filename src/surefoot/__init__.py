"""surefoot: SGD with momentum that you can check, and use.

Importing surefoot imports nothing heavy: each public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "Rule": "surefoot.rules",
    "SGD": "surefoot.optim",
    "check": "surefoot.check",
    "check_folder": "surefoot.check.folder",
    "check_gradients": "surefoot.check.gradients",
    "checks": "surefoot.check.pytest_checks",
    "convert": "surefoot.rules",
    "explain": "surefoot.explain",
    "fit": "surefoot.train",
    "identify": "surefoot.check.identify",
    "rule": "surefoot.rules",
    "train": "surefoot.train",
}
_PACKAGES = ("errors", "optim", "plot", "rules", "trace")
__all__ = [
    "SGD",
    "Rule",
    "__version__",
    "check",
    "check_folder",
    "check_gradients",
    "checks",
    "convert",
    "explain",
    "fit",
    "identify",
    "rule",
    "train",
]

if TYPE_CHECKING:
    from surefoot.check import check
    from surefoot.check.folder import check_folder
    from surefoot.check.gradients import check_gradients
    from surefoot.check.identify import identify
    from surefoot.check.pytest_checks import checks
    from surefoot.explain import explain
    from surefoot.optim import SGD
    from surefoot.rules import Rule, convert, rule
    from surefoot.train import fit, train


def __getattr__(name: str) -> Any:
    if name in _HOME:
        home = importlib.import_module(_HOME[name])
        # a package of the function's own name is itself called: Python binds its name here to the package
        value = home if home.__name__ == f"surefoot.{name}" else getattr(home, name)
        globals()[name] = value
        return value
    if name in _PACKAGES:  # importing one binds it here
        return importlib.import_module(f"surefoot.{name}")
    raise AttributeError(f"module 'surefoot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES, *(name for name in globals() if name.startswith("__"))})
