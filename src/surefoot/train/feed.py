"""Whatever holds the rows (tensors, arrays, a Dataset, a DataLoader) -> batches on the device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from surefoot.errors import InputError
from surefoot.train.data import batches, order
from surefoot.train.randomness import unmoved
from surefoot.train.same import mark

__all__ = ["EVALUATED", "Batches", "Feed", "feed", "floats"]

EVALUATED = 1000  # rows in a batch that is only evaluated; larger ones gain nothing and leave the cache

_COUNTS = (torch.uint8, torch.int8, torch.int16, torch.int32)  # as class numbers they are int64
_SMALL = 2**28  # bytes of float inputs that are scaled once; more are scaled batch by batch

Batches = Iterator[tuple[Tensor, Tensor]]


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
        target: one target (or some), to see of which type they are.
        mark: gives what tells these rows from others.
        epoch: the batches of each.
        first: how many rows, and how many in a batch -> batches of the first ones; None where rows are not
            at hand.
        generators: that a DataLoader draws its order from.
    """

    steps: int
    rows: int
    target: Tensor
    mark: Callable[[], str]
    epoch: Epoch
    first: Callable[[int, int], Batches] | None = None
    generators: tuple[torch.Generator, ...] = ()


def feed(
    rows: Any,
    batch_size: int,
    *,
    device: torch.device,
    shuffle: bool = False,
    seed: int = 0,
    scaling: Callable[[Tensor], Tensor] | None = None,
    floats: torch.dtype = torch.float32,
) -> Feed:
    """Batches of `rows`.

    Args:
        rows: (x, y) as tensors or arrays, an object with x and y, a Dataset of pairs, or a DataLoader (whose
            own batch size and order hold).
        batch_size: rows in a batch; the last one may be smaller.
        device: where the batches go; tensors and arrays move there once.
        shuffle: a new order in each epoch, depending on (seed, epoch) alone.
        seed: of that order.
        scaling: applied to the inputs, on the device.
        floats: what float64 becomes: numpy makes it of itself, and few models are of it.

    Raises:
        InputError: nothing that holds rows, no rows, or inputs and targets of different counts.
    """
    if isinstance(rows, DataLoader):
        return _loader(rows, device, scaling, floats)
    if isinstance(rows, Dataset):
        return _dataset(rows, batch_size, device, shuffle, seed, scaling, floats)
    if isinstance(rows, (tuple, list)) and len(rows) == 2:
        x, y = rows
    elif hasattr(rows, "x") and hasattr(rows, "y"):
        x, y = rows.x, rows.y
    else:
        kind = type(rows).__name__
        raise InputError(f"Rows come as (x, y), a Dataset or a DataLoader, not as {kind}.")
    x, y = _tensor(x, "inputs", floats), _tensor(y, "targets", floats)
    if len(x) != len(y) or not len(x):
        raise InputError(f"There are {len(x):,} inputs and {len(y):,} targets; each input needs one target.")
    told = partial(mark, x, y)  # as they were given: scaled, other rows may look the same
    if scaling is None and x.dtype == torch.uint8:
        scaling = Tensor.float
    x, y = x.to(device), y.to(device)
    if scaling is not None and 4 * x.numel() <= _SMALL:
        x, scaling = scaling(x), None

    def epoch(number: int, skip: int = 0) -> Batches:
        rows = order(len(x), seed, number) if shuffle else None
        return batches(x, y, batch_size, rows=rows, scaling=scaling, skip=skip)

    def first(count: int, size: int) -> Batches:
        return batches(x[:count], y[:count], size, scaling=scaling)

    return Feed(-(-len(x) // batch_size), len(x), y[:1], told, epoch, first)


def floats(model: nn.Module) -> torch.dtype:
    """What float64 becomes for this model: it stays for one of float64, and is float32 for all others."""
    own = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return own if own == torch.float64 else torch.float32


def _tensor(values: Any, what: str, floats: torch.dtype) -> Tensor:
    """A tensor of a dtype that a model takes: float32, int64 for whole numbers, or bytes as they are."""
    try:
        with warnings.catch_warnings():
            # a file that is mapped read-only: nothing writes to the rows here
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    except (TypeError, ValueError) as error:
        text = str(error).rstrip(".")
        raise InputError(f"The {what} are no tensor and no array of numbers: {text}.") from error
    if not tensor.ndim:
        raise InputError(f"The {what} are a single number; expected one entry per row.")
    if what == "targets" and not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.long()
    return tensor.to(_dtype(tensor, floats))


def _dtype(tensor: Tensor, floats: torch.dtype) -> torch.dtype:
    return floats if tensor.dtype == torch.float64 else tensor.dtype


def _loader(
    loader: DataLoader[Any],
    device: torch.device,
    scaling: Callable[[Tensor], Tensor] | None,
    floats: torch.dtype,
) -> Feed:
    try:
        steps = len(loader)
    except TypeError:
        raise InputError(
            "The DataLoader has no length; fit must know how many batches an epoch has."
        ) from None
    if not steps:
        raise InputError("The DataLoader has no batches.")
    rows = steps * (loader.batch_size or 1)
    samplers = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None))
    found = [getattr(sampler, "generator", None) for sampler in samplers]
    generators = tuple({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
    # one row of the data set costs less than a batch, where it is picked and put in a batch as by default
    plain = (
        not isinstance(loader.dataset, IterableDataset)
        and loader.collate_fn is default_collate
        and type(loader.sampler).__module__ == Sampler.__module__
    )
    with unmoved(generators):
        _, target = _pair(loader.dataset[0] if plain else next(iter(loader)))

    def epoch(number: int, skip: int = 0) -> Batches:
        return _moved(loader, steps, device, scaling, floats, skip)

    mark = f"{steps:,} batches"
    return Feed(steps, rows, torch.as_tensor(target), lambda: mark, epoch, generators=generators)


def _dataset(
    dataset: Dataset[Any],
    batch_size: int,
    device: torch.device,
    shuffle: bool,
    seed: int,
    scaling: Callable[[Tensor], Tensor] | None,
    floats: torch.dtype,
) -> Feed:
    try:
        n = len(dataset)  # type: ignore[arg-type]
    except TypeError:
        raise InputError("The Dataset has no length; wrap it in a DataLoader that has one.") from None
    if not n:
        raise InputError("The Dataset has no rows.")
    if isinstance(dataset, IterableDataset):
        raise InputError("The Dataset is gone through in its own order; wrap it in a DataLoader.")
    with unmoved():
        _, target = _pair(dataset[0])

    def epoch(number: int, skip: int = 0) -> Batches:
        rows = order(n, seed, number).tolist() if shuffle else range(n)
        # its own generator: the loader draws a number, which must not disturb the model's
        rest: Any = rows[skip * batch_size :]
        loader = DataLoader(dataset, batch_size, sampler=rest, generator=torch.Generator())
        return _moved(loader, len(loader), device, scaling, floats)

    return Feed(-(-n // batch_size), n, torch.as_tensor(target), lambda: f"{n:,} rows", epoch)


def _pair(given: Any) -> Any:
    """What a data set or a loader gave, if it is a pair (input, target)."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        what = f"{len(given)} things" if isinstance(given, (tuple, list)) else f"a {type(given).__name__}"
        raise InputError(
            f"The data set gives {what} for a row or a batch; fit takes pairs (input, target)."
            " Wrap it in one that returns them."
        )
    return given


def _moved(
    loader: DataLoader[Any],
    steps: int,
    device: torch.device,
    scaling: Callable[[Tensor], Tensor] | None,
    floats: torch.dtype,
    skip: int = 0,
) -> Batches:
    """The loader's batches on the device; those left out are gone through here and now."""
    found = iter(loader) if skip else None
    for _ in range(skip):
        next(found)  # type: ignore[arg-type]

    def rest() -> Batches:
        count = skip
        for count, batch in enumerate(loader if found is None else found, skip + 1):
            if count > steps:
                break
            x, y = map(torch.as_tensor, _pair(batch))
            x = x.to(device, _dtype(x, floats), non_blocking=True)
            kind = torch.int64 if y.dtype in _COUNTS else _dtype(y, floats)
            y = y.to(device, kind, non_blocking=True)
            yield (x if scaling is None else scaling(x)), y
        if count != steps:
            more = "more" if count > steps else f"{count:,}"
            raise InputError(f"The DataLoader promised {steps:,} batches and gave {more}.")

    return rest()
