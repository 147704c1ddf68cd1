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
    said = f"The run in '{folder.path}' diverged, and resuming would only repeat that."
    why, lr = end.get("why"), end.get("lr")  # runs of older versions tell neither
    if isinstance(why, str):
        said += f" {why}."
    if folder.settled("data") == GIVEN:
        raise InputError(f"{said} Start another with fit() in a new folder.")
    change = f" --lr {lr:g}" if isinstance(lr, float) else ""
    how = "To start another" if change else "To start another, with a change to its options"
    raise InputError(f"{said} {how}: surefoot train --config {typed(folder.path / 'config.toml')}{change}")
