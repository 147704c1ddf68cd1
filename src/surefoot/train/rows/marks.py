"""What tells the rows of a Dataset or a DataLoader from others, found at the cost of a few of them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from surefoot.train.randomness import same, states, unmoved
from surefoot.train.rows.held import below
from surefoot.train.rows.identity import mark
from surefoot.train.tensors import narrowed, raw

__all__ = ["of_dataset", "of_loader"]

_READ = 4  # rows of a data set, each twice
_LOOKED = 1000  # objects that are looked at for one that draws
_DRAWS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def of_dataset(dataset: Dataset[Any], floats: torch.dtype) -> Callable[[], str]:
    """How many rows, and a checksum of some; of the number alone where a row is not the same each time.

    Tensors of a TensorDataset, or of a Subset of one, are told as those that are given as they are. Of any
    other a few rows are read here and now: later on it may have changed, as with the epoch.

    Args:
        dataset: with a length.
        floats: what float64 becomes.
    """
    n = len(dataset)  # type: ignore[arg-type]
    part, subsets = below(dataset)
    if part is not None and n:
        x, y = part.tensors
        dtype = narrowed(x, floats)
        if not subsets:
            return lambda: mark(x, y, dtype)
        picked = _picked(n, subsets, len(x))
        return lambda: mark(x[picked], y[picked], dtype, n)
    check = _check_of_some(dataset, n)
    text = f"{n:,} rows" + ("" if check is None else f", checksum {check:08x}")
    return lambda: text


def of_loader(loader: DataLoader[Any], steps: int, floats: torch.dtype, readable: bool) -> Callable[[], str]:
    """How many batches, by which kind of sampler, and of which rows, where these can be told.

    Args:
        loader: whose rows.
        steps: how many batches it has.
        floats: what float64 becomes.
        readable: whether its data set may be read in this process.
    """
    own = loader.batch_size is None and loader.batch_sampler is not None
    sampler = type(loader.batch_sampler if own else loader.sampler).__name__
    text, dataset = f"{steps:,} batches", loader.dataset
    if isinstance(dataset, IterableDataset):
        return lambda: text
    text += f" by {sampler}"
    if not readable:
        return lambda: text
    try:
        rows = of_dataset(dataset, floats)
    except (TypeError, NotImplementedError):  # it has no length, and a sampler of its own that needs none
        return lambda: text
    return lambda: f"{text} of {rows()}"


def _picked(n: int, subsets: list[Any], count: int) -> Tensor:
    """A thousand of the rows 0 … n−1 of a subset, evenly spaced, as numbers of the `count` rows below it."""
    rows: list[Any] = list(range(0, n, -(-n // 1000)))
    for indices in subsets:
        rows = [indices[i] for i in rows]
    return torch.tensor([int(i) % count for i in rows])


def _check_of_some(dataset: Dataset[Any], n: int) -> int | None:
    """A checksum of some rows; None where one is random, fails, or is of what has no checksum here."""
    check = 0
    try:
        if n < 1 or _draws(dataset):
            return None
        with unmoved():
            for i in sorted({k * (n - 1) // (_READ - 1) for k in range(_READ)}):
                before = states()
                row = _folded(dataset[i], 0)
                # a coin may fall on the same side twice
                if not same(before, states()) or row != _folded(dataset[i], 0):
                    return None
                check = zlib.crc32(row.to_bytes(4, "big"), check)
    except Exception:
        return None  # whatever is wrong will show in training, if it is
    return check


def _draws(thing: Any) -> bool:
    """Whether it holds something that random numbers come from, which reading a row would move."""
    waiting, seen = [thing], set[int]()
    while waiting and len(seen) < _LOOKED:
        one = waiting.pop(0)
        if isinstance(one, _DRAWS):
            return True
        if id(one) in seen or isinstance(one, (Tensor, np.ndarray, str, bytes, type, ModuleType)):
            continue
        seen.add(id(one))
        if isinstance(one, (list, tuple)):
            waiting += one[:100]
        elif isinstance(one, dict):  # a mapping of another kind, as a file of HDF5, may open what it holds
            waiting += [*one.values()][:100]
        else:
            waiting += getattr(one, "__dict__", {}).values()
    return False


def _folded(value: Any, check: int) -> int:
    """The checksum with that of a value.

    Raises:
        TypeError: it is of another kind than rows are mostly.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        check = zlib.crc32(f"{value.dtype} {value.shape}".encode(), check)
        return zlib.crc32(value.tobytes(), check)
    if isinstance(value, Tensor):
        check = zlib.crc32(f"{value.dtype} {tuple(value.shape)}".encode(), check)
        return zlib.crc32(raw(value), check)
    if isinstance(value, (str, bytes, bool, int, float, complex, type(None))):
        return zlib.crc32(repr(value).encode(), check)
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"no checksum of a {type(value).__name__}")
    for part in value:
        check = _folded(part, check)
    return check
