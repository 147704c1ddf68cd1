"""What is said after the last step of a run that ended as asked, and taught the model nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["of_losses", "of_stillness"]

_MUCH = 10.0  # times the first batch's loss; a batch of few rows may be that of another several times


def of_losses(records: Sequence[dict[str, Any]], lr: float) -> str | None:
    """What to do where the loss of the last epoch is far above that of the first step.

    Args:
        records: of the whole run.
        lr: at its start.
    """
    first = next((r["loss"] for r in records if r.get("kind") == "step"), None)
    last = next((r.get("train_loss") for r in reversed(records) if r.get("kind") == "epoch"), None)
    if first is None or last is None or not 0 < _MUCH * first < last < math.inf:
        return None
    return (
        f"The training loss rose from {first:.4g} at the first step to {last:.4g} in the last epoch; try a"
        f" smaller lr than {lr:g}, such as {lr / 10:g}."
    )


def of_stillness(steps: int, lr: float) -> str:
    """What to do where every parameter is, bit for bit, what it was before the first of so many steps."""
    return (
        f"No parameter changed in {steps:,} step{'s' * (steps != 1)}: every gradient was 0, or the"
        f" lr, {lr:g}, is too small to change numbers of this precision."
    )
