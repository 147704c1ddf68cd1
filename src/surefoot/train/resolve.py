"""A user's own class, named as package.module:Class or path/to/file.py:Class."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from surefoot.errors import InputError, headline, unknown
from surefoot.loading import parted, user_module
from surefoot.train import imports

__all__ = ["absolute", "accepted", "resolve"]


def resolve(spec: str, kind: str, base: type) -> type[Any]:
    """Import the class that `spec` names.

    Args:
        spec: `package.module:Class` or `file.py:Class`.
        kind: what it should be, for the error: "model" or "optimizer".
        base: the class it must derive from.

    Raises:
        InputError: no class is named, the module or file does not import, or has no such class, or the class
            has another base.
    """
    home, name = parted(spec)
    if not name:
        how = f"{home}:Class" if home.endswith(".py") else "file.py:Class or package.module:Class"
        raise InputError(f"The {kind} '{spec}' names no class; write {how}.")
    imports.whole()  # a user's code may ask anything of torch
    module = _load(home, kind)
    found = getattr(module, name, None)
    if found is None:
        classes = [
            n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base) and v is not base
        ]
        raise unknown(f"{kind} in {home}", name, classes)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise InputError(f"The {kind} '{spec}' must be a class derived from torch's {base.__name__}.")
    return found


def absolute(spec: str) -> str:
    """The same class, named so that it is found from any folder.

    Example:
        >>> absolute("torch.optim:AdamW")
        'torch.optim:AdamW'
    """
    home, colon, name = spec.rpartition(":")
    return f"{Path(home).resolve()}{colon}{name}" if home.endswith(".py") else spec


def accepted(function: Any, *, skip: int = 0) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters that a call may name, after the first `skip`; and whether it takes any name."""
    found = list(inspect.signature(function).parameters.values())
    named = {p.name: p for p in found[skip:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in found)


def _load(home: str, kind: str) -> ModuleType:
    path = Path(home) if home.endswith(".py") else None
    if path is not None and not path.is_file():
        raise InputError(f"There is no file '{path}' to take the {kind} from.")
    try:
        return user_module(home)
    except SystemExit as error:
        raise InputError(
            f"The {kind}'s module '{path or home}' exits Python when it is imported ({headline(error)}); put"
            " the code that it runs under if __name__ == '__main__'."
        ) from error
    except Exception as error:
        raise InputError(
            f"The {kind}'s module '{path or home}' cannot be imported: {headline(error)}."
        ) from error
