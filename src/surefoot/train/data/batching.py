"""Batches: their order depends on (seed, epoch) alone, and no Python runs per sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from surefoot.errors import InputError
from surefoot.train.rows.inputs import Several

__all__ = ["batches", "order"]

I = TypeVar("I", Tensor, Several)
_CHUNK = 2 * 2**20  # bytes of float input gathered and scaled at once: what fits a core's cache


def order(n: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the rows 0 … n−1.

    Seed and epoch go through numpy's SeedSequence, so (0, 1) and (1, 0) are as unlike as any two; the shuffle
    is RandomState's, whose stream numpy has frozen: the order is the same in every version, on every device.

    Args:
        n: how many rows.
        seed: the run's seed, 0 or more.
        epoch: 0 or more.

    Returns:
        A permutation, int64, shape (n,), on the CPU.

    Raises:
        InputError: a negative seed or epoch.

    Example:
        >>> order(6, seed=0, epoch=1)
        tensor([2, 3, 1, 4, 0, 5])
    """
    if seed < 0 or epoch < 0:
        raise InputError(f"Seed and epoch must be 0 or more, not {seed} and {epoch}.")
    bits = np.random.MT19937(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return torch.from_numpy(np.random.RandomState(bits).permutation(n))


def batches(
    x: I,
    y: Tensor,
    batch_size: int,
    *,
    rows: Tensor | None = None,
    scaling: Callable[[I], I] | None = None,
    skip: int = 0,
) -> Iterator[tuple[I, Tensor]]:
    """Go through the rows in batches; the last one may be smaller.

    Rows are gathered and scaled some megabytes at a time, so bytes stay bytes in memory, and each batch is a
    slice that costs nothing.

    Args:
        x: inputs, (n, ...); or `Several`.
        y: targets, (n, ...), on the same device.
        batch_size: rows in a batch, 1 or more.
        rows: which rows, in which order, such as `order(len(x), seed, epoch)`; None takes all as they stand.
        scaling: applied to x, such as `Data.scaling`; None leaves it.
        skip: how many batches to leave out at the start (to go on within an epoch).

    Returns:
        An iterator over (inputs, targets).

    Example:
        >>> x, y = torch.arange(5.0), torch.arange(5)
        >>> for _, targets in batches(x, y, 2, rows=torch.tensor([4, 3, 2, 1, 0])):
        ...     print(targets.tolist())
        [4, 3]
        [2, 1]
        [0]
    """
    if rows is not None:
        rows = rows.to(x.device)
    n = len(x) if rows is None else len(rows)
    row_bytes = max(1, x[:1].numel() * 4)
    chunk = max(1, _CHUNK // (row_bytes * batch_size)) * batch_size
    # chunks begin where they would without `skip`: a batch elsewhere in memory may be summed in another order
    done = skip * batch_size
    for start in range(done - done % chunk, n, chunk):
        if rows is None:
            xs, ys = x[start : start + chunk], y[start : start + chunk]
        else:
            index = rows[start : start + chunk]
            # twice as fast as x[index], and fourteen times for bytes: whole rows are copied
            xs, ys = x.index_select(0, index), y.index_select(0, index)
        if scaling is not None:
            xs = scaling(xs.clone() if rows is None else xs)
        parts = zip(xs.split(batch_size), torch.split(ys, batch_size), strict=True)  # type: ignore[no-untyped-call]
        yield from itertools.islice(parts, max(0, done - start) // batch_size, None)
