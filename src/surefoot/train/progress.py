"""What a run prints: one line per epoch, and a bar while the epoch goes on, where somebody watches."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from tqdm.auto import tqdm

from surefoot.train.saying import say

__all__ = ["METRICS", "Progress", "as_written"]

_BAR = "{desc}   {bar:16} {percentage:3.0f} %   {remaining} left"
_RATE = "   {rate_noinv_fmt}"  # where the line is long enough
_LOST = (OSError, ValueError)  # what a bar raises where it cannot be drawn

# metric -> how it is headed, and how a value of it is written
METRICS: dict[str, tuple[str, Callable[[float], str]]] = {
    "accuracy": ("accuracy", lambda value: f"{100 * value:.2f} %"),
    "r2": ("R²", lambda value: _number(value)),
    "loss": ("loss", lambda value: _number(value)),
}


def as_written(metric: str) -> tuple[str, Callable[[float], str]]:
    """How a metric is headed, also one of the user's own, and how a value of it is written."""
    return METRICS.get(metric, (metric, _number))


class Progress:
    """A table with one line per epoch, and below it a bar for the epoch under way.

    Args:
        epochs: how many there will be.
        rows: training rows in an epoch.
        metric: of the validation, one of `METRICS`, or the name of another; None where nothing is validated.
        several: whether an epoch has more than one validation: then their mean is shown too.
        shown: False prints nothing.
    """

    def __init__(
        self, epochs: int, rows: int, metric: str | None, *, several: bool = False, shown: bool = True
    ) -> None:
        self._epochs, self._rows, self._shown = epochs, rows, shown
        self._bar: Any = None
        self._headed = False
        columns: dict[str, tuple[str, Callable[[Any], str]]] = {
            "epoch": (f"{'epoch':>{len(f'{epochs}/{epochs}')}}", self._position),
            "train_loss": ("training loss", _number),
        }
        if metric is not None:
            heading, form = as_written(metric)
            width = 8 if metric == "accuracy" else 10  # of "100.00 %", and of "-1.234e+05"
            columns["valid_loss"] = ("validation loss", _number)
            if metric != "loss":
                columns[f"valid_{metric}"] = (f"{heading:>{width}}", form)
            if several:
                columns[f"valid_{metric}_mean"] = (f"{f'{heading}, mean':>{width}}", form)
        self._columns = columns | {"seconds": (f"{'time':>7}", _time)}

    def begin(self, epoch: int) -> None:
        """An epoch begins."""
        if not self._shown:
            return
        if not self._headed:
            self._headed = True
            say("   ".join(heading for heading, _ in self._columns.values()))
        if _watched():
            self._epoch = epoch
            start = self._cells({"epoch": epoch}, 2)
            form = _BAR + _RATE * (shutil.get_terminal_size().columns >= 80)
            with suppress(*_LOST):
                self._bar = tqdm(
                    total=self._rows,
                    desc=start,
                    unit=" samples",
                    unit_scale=True,
                    bar_format=form,
                    leave=False,
                )

    def update(self, rows: int, loss: float) -> None:
        """So many rows of the epoch are done, with this mean loss so far."""
        if self._bar is not None:
            # below the table's own columns
            start = self._cells({"epoch": self._epoch, "train_loss": loss}, 2)
            with suppress(*_LOST):
                self._bar.set_description_str(start, refresh=False)
                self._bar.update(rows - self._bar.n)

    def end(self, record: dict[str, Any] | None = None) -> None:
        """The epoch is over; without a record, the run stopped within it."""
        if self._bar is not None:
            with suppress(*_LOST):
                self._bar.close()
            self._bar = None
        if self._shown and record is not None:
            say(self._cells(record, len(self._columns)))

    def _cells(self, record: dict[str, Any], count: int) -> str:
        cells = []
        for key, (heading, form) in list(self._columns.items())[:count]:
            value = record.get(key)
            cells.append(f"{'' if value is None else form(value):>{len(heading)}}")
        return "   ".join(cells)

    def _position(self, epoch: int) -> str:
        return f"{epoch}/{self._epochs}"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.3e}"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _watched() -> bool:
    """Whether somebody sees a bar move: a terminal, or a notebook that has the widgets for it."""
    try:
        terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, a writer of somebody's own, or closed
        terminal = False
    return terminal or ("ipykernel" in sys.modules and find_spec("ipywidgets") is not None)
