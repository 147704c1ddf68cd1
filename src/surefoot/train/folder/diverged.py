"""What is said where a run that diverged is to be resumed."""

from __future__ import annotations

from surefoot.errors import InputError
from surefoot.train.config import GIVEN
from surefoot.train.folder.folder import RunFolder
from surefoot.train.saying import typed

__all__ = ["check_not_diverged"]


def check_not_diverged(folder: RunFolder) -> None:
    """Raise an InputError for a run that diverged: from any checkpoint its steps would be the same again."""
    end = folder.metrics.end
    if end.get("status") != "diverged":
        return
    said = f"The run in '{folder.path}' diverged, and resuming would only repeat that; start another"
    if folder.settled("data") == GIVEN:
        said += " with fit() in a new folder"
    else:
        lr, command = end.get("lr"), f"surefoot train --config {typed(folder.path / 'config.toml')}"
        known = isinstance(lr, float)
        said += f": {command} --lr {lr:g}" if known else f" with a change to its options: {command}"
    why = end.get("why")  # runs of older versions do not tell
    raise InputError(f"{said}. {why}." if isinstance(why, str) else f"{said}.")
