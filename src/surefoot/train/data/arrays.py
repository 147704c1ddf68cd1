"""What every source hands over: rows of inputs and targets, as read, and the checks they must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from surefoot.errors import InputError

__all__ = ["Arrays", "Rows", "checked_classes", "checked_inputs", "checked_targets"]

Array = npt.NDArray[np.generic]

_MEASURED = "use --task regression (in Python, task='regression')"


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs and their targets.

    Args:
        x: inputs, (n, ...).
        y: targets, (n,) or (n, k).
        x_from: where the inputs come from, for messages.
        y_from: where the targets come from.
    """

    x: Array
    y: Array
    x_from: str
    y_from: str

    def __post_init__(self) -> None:
        if self.x.ndim < 2 or self.y.ndim < 1 or 0 in self.x.shape:
            raise InputError(
                f"{self.x_from} has shape {self.x.shape};"
                " expected (rows, values) or (rows, height, width), with no dimension 0."
            )
        if len(self.x) != len(self.y):
            raise InputError(
                f"{self.x_from} holds {len(self.x):,} rows but {self.y_from} holds {len(self.y):,};"
                " each input requires one target."
            )


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a source holds: rows to train on, and rows to validate on where it has its own."""

    train: Rows
    valid: Rows | None = None


def checked_inputs(rows: Rows) -> Array:
    """The inputs as uint8 (pixels stay bytes) or finite float32; float64 where float32 does not hold them.

    Raises:
        InputError: no numbers, or NaN or inf among them.
    """
    if rows.x.dtype == np.uint8:
        return rows.x
    floats = _finite(rows.x, rows.x_from)
    if np.can_cast(rows.x.dtype, np.float32) or bool((floats == rows.x).all()):
        return floats
    return rows.x.astype(np.float64)  # narrowed once it is scaled: near 1.7e9 float32 has each 128th number


def checked_targets(rows: Rows) -> Array:
    """The targets of a regression: finite float32, (n, k).

    Raises:
        InputError: no numbers, or NaN or inf among them.
    """
    y = _finite(rows.y, rows.y_from)
    return y.reshape(len(y), -1)


def checked_classes(
    rows: Rows, names: tuple[str, ...] | None
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The labels of a classification: int64, (n,), each 0 … classes − 1; and what the classes are called.

    Args:
        rows: the labels may be text, or whole numbers of any dtype, and have a second axis of length 1.
        names: the classes, where they are known. None takes the different texts, sorted; or as many classes
            as the largest number + 1, if at least half of those occur.

    Raises:
        InputError: a label is no whole number, or none of the classes.
    """
    y: npt.NDArray[Any] = rows.y.reshape(-1) if rows.y.ndim == 2 and rows.y.shape[1] == 1 else rows.y
    if y.ndim != 1 or y.dtype.kind not in "biufU":
        raise InputError(
            f"{rows.y_from} has shape {y.shape} and type {y.dtype}; expected one class for each row."
        )
    if y.dtype.kind == "U":
        texts, place = np.unique(y, return_inverse=True)
        names = names or tuple(texts.tolist())
        numbers = {name: number for number, name in reversed([*enumerate(names)])}  # the first of equals
        codes = np.array([numbers.get(text, -1) for text in texts.tolist()])[place]
        if len(bad := np.flatnonzero(codes < 0)):
            raise InputError(
                f"{rows.y_from} holds label {str(y[bad[0]])!r} in row {bad[0]}, which is not one of the"
                f" classes: {', '.join(names[:10])}{' …' if len(names) > 10 else ''}."
            )
        y = codes
    if y.dtype.kind == "f" and len(bad := np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)))):
        raise InputError(
            f"{rows.y_from} holds {y[bad[0]]} in row {bad[0]}, which is not a class number;"
            f" for regression targets, {_MEASURED}."
        )
    inferred, kinds = names is None, len(names or ())
    if names is None:
        seen = np.unique(y)
        kinds = len(seen)
        names = tuple(map(str, range(_count(seen))))
    if len(bad := np.flatnonzero((y < 0) | (y >= len(names)))):
        known = f"0 … {len(names) - 1}: there are {len(names)} classes"
        if (inferred and y[bad[0]] < 0) or len(names) == 1:
            known = "classes"
        meant = f" Integers are treated as classes; for regression targets {_MEASURED}."
        raise InputError(
            f"{rows.y_from} holds label {y[bad[0]]:.0f} in row {bad[0]}; expected {known}, numbered from 0."
            f"{meant if inferred and y[bad[0]] >= 0 and (kinds > 50 or 2 * kinds > len(y)) else ''}"
        )
    if len(names) == 1 and len(y) > 1:
        raise InputError(f"{rows.y_from} holds only one class, {names[0]!r}; expected two or more.")
    return y.astype(np.int64), names


def _count(seen: npt.NDArray[Any]) -> int:
    """How many classes different labels are of, in order: one corrupt label would silently make hundreds.

    That is all up to the largest of which at least half occur.
    """
    occur = np.arange(1, len(seen) + 1)
    counts = seen.astype(np.float64) + 1
    fits = np.flatnonzero((counts <= 2 * occur) & (seen >= 0))
    # where it holds of no two, they are no class numbers, and which of them is wrong cannot be told
    return int(counts[fits[-1]]) if len(fits) and (fits[-1] > 0 or len(seen) == 1) else len(seen)


def _finite(values: Array, where: str) -> npt.NDArray[np.float32]:
    if values.dtype.kind not in "biuf":
        raise InputError(f"{where} has type {values.dtype}; expected numbers.")
    with np.errstate(over="ignore"):  # beyond float32 becomes inf, and is told as such
        floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(floats))[0])
        row, rest = place[0], f", position {place[1:]}" if place[1:] else ""
        raise InputError(f"{where} holds {values[place]} in row {row}{rest}; expected finite numbers.")
    return floats
