"""What a run is fed with: batches, epoch by epoch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from surefoot.errors import InputError
from surefoot.train.rows.inputs import Inputs, tensors
from surefoot.train.tensors import ends

__all__ = [
    "Batches",
    "Epoch",
    "Feed",
    "copied",
    "retargeted",
    "unwritten",
    "watched",
]

_WATCHED = 1000  # batches: more than there are between two times that losses are fetched

Batches = Iterator[tuple[Inputs, Tensor]]


class Epoch(Protocol):
    """What gives an epoch's batches."""

    def __call__(self, number: int, skip: int = 0) -> Batches:
        """The epoch's number, from 1 on, and how many batches to leave out at its start -> its batches."""


@dataclass(frozen=True)
class Feed:
    """Batches, epoch by epoch.

    Args:
        steps: batches in an epoch.
        rows: rows in an epoch, or nearly so.
        target: one target (or some), to see of which type they are; None where the first validation shows it.
        mark: gives what tells these rows from others.
        epoch: the batches of each.
        first: how many rows, and how many in a batch -> batches of the first ones; None where rows are not
            at hand.
        sample: a batch of the first row or two, to see what they are like; None where a loader makes batches
            in a way of its own.
        targets: gives all of them, in parts, where they are in memory.
        generators: that a DataLoader draws its order from.
        flaw: says where NaN or inf is among the rows, and what is huge; None where they are not at hand.
        seen: a step's number -> what NaN or inf was in its batch, if it is one of the latest; None where they
            are not watched.
        advice: gives a line for the user on inputs by which few models learn, if these are such.
    """

    steps: int
    rows: int
    target: Tensor | None
    mark: Callable[[], str]
    epoch: Epoch
    first: Callable[[int, int], Batches] | None = None
    sample: tuple[Inputs, Tensor] | None = None
    targets: Callable[[], Iterable[Tensor]] | None = None
    generators: tuple[torch.Generator, ...] = ()
    flaw: Callable[[], tuple[str | None, str | None]] | None = None
    advice: Callable[[], str | None] | None = None
    seen: Callable[[int], str | None] | None = None


def watched(feed: Feed) -> Feed:
    """The same, but it can say of the latest batches whether NaN is in them, which are not kept for that."""
    latest: deque[tuple[int, list[tuple[str, Sequence[Tensor]]]]] = deque(maxlen=_WATCHED)

    def noted(batches: Batches, step: int) -> Batches:
        for number, (x, y) in enumerate(batches, step):
            parts = (*(("inputs", part) for part in tensors(x)), ("targets", y))
            found = [(what, ends(t)) for what, t in parts]
            latest.append((number, [(what, end) for what, end in found if end is not None]))
            yield x, y

    def batches(number: int, skip: int = 0) -> Batches:
        return noted(feed.epoch(number, skip), (number - 1) * feed.steps + skip + 1)

    def seen(step: int) -> str | None:
        for what, found in next((found for number, found in latest if number == step), []):
            bad = [end for end in found if not end.isfinite()]
            if bad:
                return f"the {what} of that step's batch hold {'NaN' if bad[0].isnan() else 'inf'}"
        return None

    return replace(feed, epoch=batches, seen=seen)


def copied(epoch: Epoch) -> Epoch:
    """The same batches, of inputs that the model may write into, as by Dropout(inplace=True)."""

    def batches(number: int, skip: int = 0) -> Batches:
        return ((x.clone(), y) for x, y in epoch(number, skip))

    return batches


def retargeted(epoch: Epoch, change: Callable[[Tensor], Tensor]) -> Epoch:
    """The same batches, with targets that are changed."""

    def batches(number: int, skip: int = 0) -> Batches:
        return ((x, change(y)) for x, y in epoch(number, skip))

    return batches


def unwritten(epoch: Epoch) -> Epoch:
    """The same batches, but the first is given a copy of its targets, to find a loss that writes into them.

    So it is told before it has changed the rows.
    """
    fresh = True

    def first_watched(found: Batches) -> Batches:
        for x, y in found:
            copy = y.clone()
            version = copy._version
            yield x, copy
            if copy._version != version:
                raise InputError(
                    "The loss changes the targets in place, and so the training data; let it"
                    " begin with target = target.clone()."
                )
            break
        yield from found

    def batches(number: int, skip: int = 0) -> Batches:
        nonlocal fresh
        found = epoch(number, skip)
        if not fresh:
            return found
        fresh = False
        return first_watched(iter(found))

    return batches
