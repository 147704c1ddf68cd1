"""What runs measured, read from their records as points to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from surefoot.runs import History

__all__ = ["averaged", "diverged", "epochs", "finite", "metrics", "of", "steps", "top", "training"]

Points = tuple[list[float], list[float]]

_POINTS = 20  # in an epoch, that a training loss is averaged to: single batches are too noisy to read
_MOST = 200  # in all


def metrics(histories: Sequence[History]) -> list[str]:
    """What validations were judged by, but for the loss: the usual ones first, then the users' own."""
    names = {"accuracy": False, "r2": False}  # → whether it was ever defined
    for history in histories:
        keys = {key: None for record in history.records for key in record if key.startswith("valid_")}
        others = [key for key in keys if key not in ("valid_loss", "valid_loss_mean")]
        own = others[0].removeprefix("valid_") if others else None
        if own is not None and any(finite(record.get(f"valid_{own}")) for record in history.records):
            names[own] = True
    return [name for name, defined in names.items() if defined]


def epochs(histories: Sequence[History]) -> list[float | None]:
    """Return how many steps an epoch of each run has; before its end, as that of another on the same rows."""
    lengths = [_epoch(history) for history in histories]
    of = {str(rows): n for h, n in zip(histories, lengths, strict=True) if n and (rows := _batches(h))}
    return [n or of.get(str(_batches(h))) for h, n in zip(histories, lengths, strict=True)]


def _batches(history: History) -> list[Any]:
    """What the length of an epoch goes by; nothing where that is not known, as of rows given to fit."""
    config = history.config
    known = "batch_size" in config and config.get("data") not in (None, "given to fit")
    return [config.get(k) for k in ("data", "data_dir", "train_fraction", "batch_size")] if known else []


def _epoch(history: History) -> float | None:
    """Return how many steps an epoch has, once one has ended."""
    ends = [r for r in history.records if r.get("kind") == "epoch" and r.get("epoch") and r.get("step")]
    return ends[-1]["step"] / ends[-1]["epoch"] if ends else None


def training(history: History, what: str, scale: float) -> Points:
    """Return what was measured in training: the batches' loss, averaged; else what epochs' records say."""
    if what == "loss" and (found := steps(history)):
        size = averaged(found, scale)
        parts = [found[i : i + size] for i in range(0, len(found), size)]
        x = [sum(r["step"] for r in part) / len(part) / scale for part in parts]
        return x, [sum(r["loss"] for r in part) / len(part) for part in parts]
    return of(history, f"train_{what}", scale)


def top(histories: Sequence[History], scales: Sequence[float]) -> float:
    """How large losses beside each other are shown: of runs that diverged, not all that they grew to."""
    calm = [pair for pair in zip(histories, scales, strict=True) if not diverged(pair[0])]
    if len(calm) in (0, len(histories)):
        return math.inf
    losses = [y for history, scale in calm for y in training(history, "loss", scale)[1]]
    losses += [y for history, scale in calm for y in of(history, "valid_loss", scale)[1]]
    return 100 * max(losses, default=math.inf)


def steps(history: History) -> list[Mapping[str, Any]]:
    """The records of steps whose loss is a number."""
    return [r for r in history.records if r.get("kind") == "step" and finite(r.get("loss"))]


def averaged(found: Sequence[Mapping[str, Any]], scale: float) -> int:
    """How many records make a point of the training loss."""
    each: float = len(found) / (found[-1]["step"] - found[0]["step"] + 1)  # below 1 where they are means
    return max(1, math.ceil(len(found) / _MOST), round(each * scale / _POINTS))


def of(history: History, key: str, scale: float) -> Points:
    """Return what the records have by that name, where they have it."""
    at = {r["step"]: r[key] for r in history.records if "step" in r and finite(r.get(key))}
    return [step / scale for step in sorted(at)], [at[step] for step in sorted(at)]


def finite(value: Any) -> bool:
    """Whether it is a number that can be drawn."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def diverged(history: History) -> bool:
    """Whether the run ended because its loss became NaN or inf."""
    return any(r.get("kind") == "end" and r.get("status") == "diverged" for r in history.records)
