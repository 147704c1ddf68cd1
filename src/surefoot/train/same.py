"""Whether a run that is resumed is the one that was begun."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surefoot.errors import InputError

__all__ = ["check_options", "first_line", "settled"]

_FREE = {"name", "out", "checkpoint_every"}  # a resumed run may have others of these


def settled(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run keeps from its begin to its end."""
    return {name: value for name, value in options.items() if name not in _FREE}


def check_options(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise an InputError for the first option that the run in the folder `path` was begun otherwise with."""
    then, now = settled(then), settled(now)
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            was, new = ("none" if v is None else repr(v) for v in (then.get(name), now.get(name)))
            raise InputError(
                f"The run in '{path}' was begun with {name.replace('_', '-')} {was}, not {new};"
                " resume it with the same, or choose a new folder."
            )


def first_line(error: Exception) -> str:
    """What an error says first: torch lists all that does not fit below a heading, a line each."""
    heading, *lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return (lines[0] if lines else heading).rstrip(".") + more
