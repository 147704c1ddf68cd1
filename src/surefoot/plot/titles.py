"""What a picture of curves is headed: which run, and with what it was trained."""

from __future__ import annotations

import os
from collections.abc import Sequence

from surefoot.runs import History, optimizer

__all__ = ["shortened", "title"]


def title(histories: Sequence[History]) -> str:
    """The run's name, if it is one, and what all have in common: model and optimizer."""
    told = []
    for config in (history.config for history in histories):
        named = [str(config["model"]).rpartition(os.sep)[2]] if config.get("model") else []
        named += [optimizer(str(config["optimizer"]))] if config.get("optimizer") else []
        numbers = [(key, config.get(key)) for key in ("lr", "momentum")]
        told.append(named + [f"{key} {x:g}" for key, x in numbers if isinstance(x, (int, float))])
    common = ", ".join(part for part in told[0] if all(part in other for other in told))
    if len(histories) > 1:
        return common
    return f"{histories[0].name}: {common}" if common else histories[0].name


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters, by its ends; as it is, and not as a formula."""
    short = text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 + 3 :]}"
    return short.replace("$", r"\$")
