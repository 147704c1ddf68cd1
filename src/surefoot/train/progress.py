"""What a run prints: one line per epoch, and a bar while the epoch goes on, where somebody watches."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm

__all__ = ["METRICS", "Progress"]

_BAR = "{desc} {bar:24} {percentage:3.0f} %{postfix}   {rate_noinv_fmt}   {remaining} left"

# metric -> how it is headed, and how a value of it is written
METRICS = {"accuracy": ("accuracy", "{:.2%}"), "r2": ("R²", "{:.4f}")}


class Progress:
    """A table with one line per epoch, and below it a bar for the epoch under way.

    Args:
        epochs: how many there will be.
        rows: training rows in an epoch.
        shown: False prints nothing.
    """

    def __init__(self, epochs: int, rows: int, *, shown: bool = True) -> None:
        self._epochs, self._rows, self._shown = epochs, rows, shown
        self._bar: Any = None
        self._headed = False

    def begin(self, epoch: int) -> None:
        """An epoch begins."""
        if self._shown and _watched():
            position = self._position(epoch)
            self._bar = tqdm(total=self._rows, desc=position, unit=" samples", bar_format=_BAR, leave=False)

    def update(self, rows: int, loss: float) -> None:
        """So many rows of the epoch are done, with this mean loss so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"  loss {_number(loss)}", refresh=False)
            self._bar.update(rows - self._bar.n)

    def end(self, record: dict[str, Any] | None = None) -> None:
        """The epoch is over; without a record, the run stopped within it."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if not self._shown or record is None:
            return
        cells = {"epoch": self._position(record["epoch"]), **_cells(record)}
        rows = [cells.values()] if self._headed else [cells, cells.values()]
        self._headed = True
        for row in rows:
            texts = (f"{text:>{len(name)}}" for name, text in zip(cells, row, strict=True))
            print("   ".join(texts), flush=True)

    def _position(self, epoch: int) -> str:
        return f"{epoch}/{self._epochs}".rjust(max(len("epoch"), 2 * len(str(self._epochs)) + 1))


def _cells(record: dict[str, Any]) -> dict[str, str]:
    """Heading -> text, each heading at least as wide as what stands below it."""
    cells = {"training loss": _number(record["train_loss"])}
    if "valid_loss" in record:
        cells["validation loss"] = _number(record["valid_loss"])
    for metric, (heading, form) in METRICS.items():
        if record.get(f"valid_{metric}") is not None:
            cells[heading] = _percent(form.format(record[f"valid_{metric}"]))
        if record.get(f"valid_{metric}_mean") is not None:
            cells[f"{heading}, mean"] = _percent(form.format(record[f"valid_{metric}_mean"]))
    seconds = record["seconds"]
    return {**cells, "   time": f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"}


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.3e}"


def _percent(text: str) -> str:
    return text.replace("%", " %")


def _watched() -> bool:
    """Whether somebody sees a bar move: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
