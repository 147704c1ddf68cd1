"""Whether a run that is gone on with is the one that was begun."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surefoot.errors import InputError
from surefoot.train.config import Config

__all__ = ["check_given", "check_options", "settled"]

_FREE = {"name", "out", "checkpoint_every"}  # a resumed run may have others of these


_ALWAYS = {field.name for field in dataclasses.fields(Config) if field.default is not None}  # in config.toml


def settled(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run keeps from its begin to its end."""
    return {name: value for name, value in options.items() if name not in _FREE}


def check_options(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise an InputError for the first option that the run in the folder `path` was begun otherwise with."""
    then, now = settled(then), settled(now)
    for name in sorted(then.keys() | now.keys(), key=lambda name: (name not in ("model", "optimizer"), name)):
        if then.get(name) != now.get(name):
            if name not in then and name in _ALWAYS:
                raise InputError(f"{path / 'config.toml'} no longer has a line for {name!r}; put it back.")
            was, new = ("none" if v is None else repr(v) for v in (then.get(name), now.get(name)))
            raise InputError(
                f"The run in '{path}' was started with {name.replace('_', '-')} {was}, not {new};"
                " resume it with the same, or choose a new folder."
            )


def check_given(path: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise an InputError for what is not as it was when the run in the folder `path` was begun.

    Args:
        path: the run's folder.
        then: "rows to train on", "loss" and the like -> what tells it from others.
        now: the same.
    """
    for what, was in then.items():
        new = now.get(what, "none")
        if new != was:
            other = "other" if what.startswith("rows") else "another"
            raise InputError(
                f"The run in '{path}' was started with {other} {what}: {was}, not {new};"
                " resume it with the same, or choose a new folder."
            )
