"""A run's records in memory: those of steps, of which there may be millions, as numbers side by side."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

__all__ = ["Records"]

Record = dict[str, Any]
_STEP = ["kind", "step", "epoch", "loss", "lr"]
_DRAWN = 20_000  # steps that a picture is made of


def _is_step(record: Record) -> bool:
    """Whether it is a step's, as a run writes it; a line may have been edited."""
    if list(record) != _STEP or record["kind"] != "step":
        return False
    step, epoch, loss, lr = list(record.values())[1:]
    number = (int, float)
    return (
        type(step) is type(epoch) is int
        and isinstance(lr, number)
        and isinstance(loss, (*number, type(None)))
    )


class Records(Sequence[Record]):
    """Records in order, as dicts when they are read; a step takes 28 bytes.

    Args:
        records: those to begin with.

    Example:
        >>> records = Records([{"kind": "step", "step": 1, "epoch": 1, "loss": 0.5, "lr": 0.1}])
        >>> records[-1]["loss"], len(records)
        (0.5, 1)
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._step, self._epoch = array("q"), array("i")
        self._loss, self._lr = array("d"), array("d")
        self._places: list[int] = []  # of the others
        self.others: list[Record] = []
        self.extend(records)

    def extend(self, records: Iterable[Record]) -> None:
        """Add them behind the others."""
        for record in records:
            if _is_step(record):
                self._step.append(record["step"])
                self._epoch.append(record["epoch"])
                self._loss.append(math.nan if record["loss"] is None else record["loss"])
                self._lr.append(record["lr"])
            else:
                self._places.append(len(self))
                self.others.append(record)

    def __len__(self) -> int:
        return len(self._step) + len(self.others)

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> list[Record]: ...
    def __getitem__(self, i: int | slice) -> Record | list[Record]:
        if isinstance(i, slice):
            return [self[k] for k in range(len(self))[i]]
        i = range(len(self))[i]  # an IndexError where there is none
        before = bisect_left(self._places, i)
        if before < len(self._places) and self._places[before] == i:
            return self.others[before]
        return self._of_step(i - before)

    def __iter__(self) -> Iterator[Record]:
        done = 0
        for i, (place, other) in enumerate(zip(self._places, self.others, strict=True)):
            yield from map(self._of_step, range(done, place - i))
            done = place - i
            yield other
        yield from map(self._of_step, range(done, len(self._step)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"<{len(self._step):,} steps and {len(self.others):,} other records>"

    @property
    def steps(self) -> list[Record]:
        """Those of steps."""
        if any(record.get("kind") == "step" for record in self.others):  # written by hand, or by another
            return [record for record in self if record.get("kind") == "step"]
        return list(map(self._of_step, range(len(self._step))))

    @property
    def last(self) -> int:
        """The last step of any record; 0 of none."""
        return max([*self._step[-1:], *(record.get("step", 0) for record in self.others[-1:])], default=0)

    @property
    def drawn(self) -> list[Record]:
        """What a picture is made of: all, or means of as many steps each as leave few enough."""
        size = -(-len(self._step) // _DRAWN)
        if size <= 1:
            return list(self)
        means = []
        for first in range(0, len(self._step), size):
            losses = self._loss[first : first + size]
            record = self._of_step(first + len(losses) // 2)
            told = [loss for loss in losses if not math.isnan(loss)]
            means.append(record | {"loss": sum(told) / len(told) if told else None})
        return [*means, *self.others]

    def _of_step(self, i: int) -> Record:
        loss = None if math.isnan(self._loss[i]) else self._loss[i]  # of a batch that has none
        numbers = self._step[i], self._epoch[i], loss, self._lr[i]
        return dict(zip(_STEP, ("step", *numbers), strict=True))
