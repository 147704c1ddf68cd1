"""A DataLoader that was opened to look at a batch, and what of that its first epoch goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler

from surefoot.errors import InputError
from surefoot.train.interrupt import leaving_ctrl_c
from surefoot.train.randomness import go_to, same, states, unmoved

__all__ = ["Opened", "closing", "draws_late", "leaves_traces", "tell_epoch"]

_open: list[Opened] = []  # of the trainings under way, which take turns


class Opened:
    """A loader's iterator and its first batch, with the random states before and after.

    Another one in its place would be noticed: a stream has lost its first batch, a sampler that counts is in
    its second epoch, and persistent workers have drawn.

    Args:
        loader: opened here and now; random states stay as they are.
        generators: of its own.

    Raises:
        InputError: it gives no batch.
    """

    def __init__(self, loader: DataLoader[Any], generators: Sequence[torch.Generator]) -> None:
        self._generators = generators
        self._before = states(generators)
        self._iterator: Iterator[Any] | None = None
        self.batch: Any = None
        _open.append(self)
        try:
            with unmoved(generators):
                with leaving_ctrl_c():
                    self._iterator = iter(loader)
                try:
                    self.batch = next(self._iterator)
                except StopIteration:
                    raise InputError(
                        f"The DataLoader's length is {len(loader):,} batches, but it yielded 0."
                    ) from None
                self._after = states(generators)
        except BaseException:
            self.drop()
            raise

    def taken(self) -> Iterator[Any] | None:
        """All its batches, once, if random states are as before it was opened; they become those after."""
        iterator, batch = self._iterator, self.batch
        self.drop()
        if iterator is None or not same(self._before, states(self._generators)):
            return None
        go_to(self._after, self._generators)
        return _with(batch, iterator)

    def drop(self) -> None:
        """It is not gone on with: its workers end."""
        self._iterator = self.batch = None
        if self in _open:
            _open.remove(self)


def _with(batch: Any, rest: Iterator[Any]) -> Iterator[Any]:
    first = [batch]
    del batch  # which would be kept until the last one
    yield first.pop()
    yield from rest


@contextmanager
def closing() -> Iterator[None]:
    """What was opened inside and not gone on with is dropped: an error that is kept would keep workers."""
    before = [*_open]
    try:
        yield
    finally:
        for one in [one for one in _open if one not in before]:
            one.drop()


def draws_late(loader: DataLoader[Any]) -> bool:
    """Whether which rows are next may be drawn in this process between two steps, as by a shuffle buffer.

    torch's own samplers draw an epoch's order at its begin, and a list draws nothing.
    """
    if isinstance(loader.dataset, IterableDataset):
        return not loader.num_workers
    own = (loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None))
    homes = {type(part).__module__ for part in own if part is not None}
    return any(home != "builtins" and not home.startswith("torch.utils.data") for home in homes)


def leaves_traces(loader: DataLoader[Any]) -> bool:
    """Whether opening it and taking a batch may change what it gives the next time."""
    parts = (loader.sampler, loader.batch_sampler)
    return (
        isinstance(loader.dataset, IterableDataset)
        or loader.persistent_workers
        or any(part is not None and type(part).__module__ != Sampler.__module__ for part in parts)
    )


def tell_epoch(number: int, *parts: Any) -> None:
    """Call set_epoch, with 0 for the first epoch, of those that have it, as a DistributedSampler has."""
    for part in {id(part): part for part in parts}.values():
        if callable(tell := getattr(part, "set_epoch", None)):
            tell(number - 1)
