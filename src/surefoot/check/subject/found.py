"""Which optimizers a module or file holds, and which of them are meant where none is named."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import ModuleType

__all__ = ["meant", "offered"]

_BASE = re.compile(r"base|abstract", re.I)
_WRAPS = re.compile(r"opt(im(izer)?)?|model|net|module", re.I)  # first argument of a scheduler, or a trainer


def offered(module: ModuleType, where: str) -> dict[str, type]:
    """The optimizers of a module: none that is private, not their base, of a file none it imports."""
    return {
        name: made
        for name, made in vars(module).items()
        if inspect.isclass(made)
        and hasattr(made, "step")
        and not name.startswith("_")
        and (made.__module__, made.__name__) != ("torch.optim.optimizer", "Optimizer")
        and (not where.endswith(".py") or made.__module__ == module.__name__)
    }


def meant(offered: Mapping[str, type]) -> list[str]:
    """The names of those that are to be examined, in the order of the file.

    Subclasses of torch.optim.Optimizer, if there are any; else whatever has a step() of its own and takes
    parameters. A class from which others of the file derive is left out where it is only their base: its
    step() does nothing or is NotImplemented, or its name says so.

    Args:
        offered: the classes of a file that have a step(), by name.
    """
    import torch

    proper = {n: made for n, made in offered.items() if issubclass(made, torch.optim.Optimizer)}
    others = {n: made for n, made in offered.items() if not _wraps(made)}
    found = dict.fromkeys((proper or others).values())  # a class of two names is one
    return [made.__name__ for made in found if not _only_a_base(made, list(found))]


def _wraps(made: type) -> bool:
    """Whether it has a step(), but takes an optimizer or a model, as a scheduler or a trainer does."""
    import torch

    if issubclass(made, (torch.nn.Module, torch.optim.lr_scheduler.LRScheduler)):
        return True
    try:
        first = next(iter(inspect.signature(made).parameters), "")
    except (TypeError, ValueError):
        return False
    return bool(_WRAPS.fullmatch(first))


def _only_a_base(made: type, found: list[type]) -> bool:
    """Whether it is there for others of the file to derive from, and steps nothing by itself."""
    import torch

    derived = [c for c in found if c is not made and issubclass(c, made)]
    if not derived:
        return False
    step = inspect.unwrap(made.step)  # type: ignore[attr-defined]
    code = getattr(step, "__code__", None)
    idle = step is inspect.unwrap(torch.optim.Optimizer.step) or (code is not None and not code.co_names)
    own = ((n, f) for n, f in vars(made).items() if inspect.isfunction(f))
    missing = any("NotImplementedError" in f.__code__.co_names for _, f in own)
    return idle or missing or inspect.isabstract(made) or bool(_BASE.search(made.__name__))
