"""Rows of a Dataset or a DataLoader as batches on the device."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from surefoot.errors import InputError, a_kind
from surefoot.train.data import Scaling, order
from surefoot.train.randomness import apart, unmoved
from surefoot.train.rows import marks
from surefoot.train.rows.batch import Batches, Feed
from surefoot.train.rows.held import targets_of
from surefoot.train.rows.inputs import Inputs, Several, of_several, pair_of, scaling_of_several
from surefoot.train.rows.opened import Opened, draws_late, leaves_traces, tell_epoch
from surefoot.train.rows.portions import evenly
from surefoot.train.tensors import as_tensor, check_unmasked, narrowed, of_targets

__all__ = ["of_dataset", "of_loader"]


def of_loader(
    loader: DataLoader[Any],
    device: torch.device,
    scaling: Callable[..., Any] | None,
    floats: torch.dtype,
    seed: int,
    training: bool = True,
) -> Feed:
    try:
        steps = len(loader)
    except TypeError:
        what = "train" if training else "validate"
        own = "data set" if isinstance(loader.dataset, IterableDataset) else "sampler or batch sampler"
        raise InputError(
            f"The DataLoader to {what} on has no length, and fit must know how many batches an epoch has;"
            f" give its {own} a __len__."
        ) from None
    if not steps:
        raise InputError("The DataLoader has no batches.")
    samplers = (
        loader, loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)
    )  # fmt: skip
    found = [getattr(sampler, "generator", None) for sampler in samplers]
    generators = tuple({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
    # one row of the data set costs less than a batch, where it is picked and put in a batch as by default
    plain = (
        not isinstance(loader.dataset, IterableDataset)
        and loader.collate_fn is default_collate
        and type(loader.sampler).__module__ == Sampler.__module__
        and hasattr(loader.dataset, "__len__")
    )
    moved = partial(_moved, device=device, scaling=scaling, floats=floats)
    told = (*samplers[1:], loader.dataset) if training else ()  # rows to validate on are of no epoch
    opened = sample = first = None
    if plain:
        with unmoved(generators):
            first = moved(_first(loader.dataset))
    elif training or not leaves_traces(loader):  # else the first validation sees what its rows are like
        tell_epoch(1, *told)
        with _told_of_kinds():
            opened = Opened(loader, generators)
        with unmoved(generators):
            first = moved(_copied(opened.batch))
        if not training:  # it would wait, workers and all, for a validation, which begins at other states
            opened.drop()
    rows = steps * (loader.batch_size or 1)
    if plain and loader.batch_size is not None:
        sample = first
        if not loader.drop_last:
            rows = len(loader.sampler)  # type: ignore[arg-type]

    def begun(number: int) -> Iterator[Any]:
        found = opened.taken() if opened is not None and number == 1 else None
        if found is None:
            if opened is not None:
                opened.drop()
            tell_epoch(number, *told)
            found = iter(loader)
        return apart(found, seed, number) if training and draws_late(loader) else found

    def epoch(number: int, skip: int = 0) -> Batches:
        return _batches(partial(begun, number), steps, moved, skip)

    # opened by a worker, a file is the worker's own; opened here, it would be shared among them
    mark = marks.of_loader(loader, steps, floats, plain or not loader.num_workers)
    target = None if first is None else first[1]
    return Feed(steps, rows, target, mark, epoch, sample=sample, generators=generators)


def of_dataset(
    dataset: Dataset[Any],
    batch_size: int,
    device: torch.device,
    shuffle: bool,
    seed: int,
    scaling: Callable[..., Any] | None,
    floats: torch.dtype,
    training: bool = True,
) -> Feed:
    try:
        n = len(dataset)  # type: ignore[arg-type]
    except TypeError:
        raise InputError("The Dataset has no length; wrap it in a DataLoader that has one.") from None
    if not n:
        raise InputError("The Dataset has no rows.")
    if isinstance(dataset, IterableDataset):
        raise InputError("This Dataset is iterated in its own order; wrap it in a DataLoader.")
    if not training:
        batch_size = evenly(batch_size, n)
    moved = partial(_moved, device=device, scaling=scaling, floats=floats)
    with unmoved():
        sample = moved(_first(dataset))

    def epoch(number: int, skip: int = 0) -> Batches:
        rows = order(n, seed, number).tolist() if shuffle else range(n)
        # its own generator: the loader draws a number, which must not disturb the model's
        rest: Any = rows[skip * batch_size :]
        loader = DataLoader(dataset, batch_size, sampler=rest, generator=torch.Generator())

        def begun() -> Iterator[Any]:
            if training:
                tell_epoch(number, dataset)
            return iter(loader)

        return _batches(begun, len(loader), moved)

    mark, targets = marks.of_dataset(dataset, floats), targets_of(dataset, floats, device)
    return Feed(-(-n // batch_size), n, sample[1], mark, epoch, sample=sample, targets=targets)


def _first(dataset: Dataset[Any]) -> Any:
    """A batch of the first two rows, or of one where there are no two, or they do not fit together."""
    pairs = [_pair(dataset[i]) for i in range(min(2, len(dataset)))]  # type: ignore[arg-type]
    with _told_of_kinds():
        try:
            return default_collate(pairs)
        except RuntimeError:
            return default_collate(pairs[:1])


@contextmanager
def _told_of_kinds() -> Iterator[None]:
    """What torch cannot put in a batch is told in a sentence."""
    try:
        yield
    except TypeError as error:
        found = re.search("default_collate: .* found <class '(.*)'>", str(error))
        if found is None:
            raise
        kind = found[1].removeprefix("builtins.")
        advice = "let the data set return tensors, arrays or numbers"
        if kind.startswith("PIL."):
            advice += (
                ", such as torchvision.transforms.ToTensor() or numpy.asarray(picture) makes from a picture"
            )
        raise InputError(f"The data set returns a {kind}, and torch cannot batch these; {advice}.") from None


def _pair(given: Any) -> Any:
    """What a data set or a loader gave, if it is a pair (input, target)."""
    if isinstance(given, Mapping):
        return pair_of(given)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        what = f"{len(given)} things" if isinstance(given, (tuple, list)) else a_kind(given)
        raise InputError(
            f"The data set returns {what} for a row or a batch; fit takes pairs (input, target), or for"
            " several inputs ((a, b), target) or dicts. Wrap it in a data set that returns these."
        )
    return given


def _copied(batch: Any) -> Any:
    """A batch to look at, of which a scaling may write into the inputs."""
    return [_copy(part) for part in _pair(batch)]


def _copy(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.clone()
    if isinstance(part, (list, tuple)):
        return [_copy(one) for one in part]
    return {name: _copy(one) for name, one in part.items()} if isinstance(part, Mapping) else copy.copy(part)


def _moved(
    batch: Any, device: torch.device, scaling: Callable[..., Any] | None, floats: torch.dtype
) -> tuple[Inputs, Tensor]:
    """A batch of a loader, on the device, in dtypes that a model takes."""
    given, target = _pair(batch)
    several = of_several(given)
    x: Inputs = Several.of(given, _tensor) if several else _tensor(given)
    y = _tensor(target, "targets")
    # to Apple's GPU torch would copy from memory that may have been freed by then (pytorch issue 189690)
    unwaited = device.type != "mps"
    if not isinstance(x, Several) and isinstance(scaling, Scaling) and scaling.wide(x):
        x, scaling = scaling(x), None

    def there(t: Tensor) -> Tensor:
        return t.to(device, narrowed(t, floats), non_blocking=unwaited)

    if isinstance(x, Several):
        x, scaling = x.map(there), scaling_of_several(scaling)
    else:
        x = there(x)
    y = y.to(device, of_targets(y, floats), non_blocking=unwaited)
    return (x if scaling is None else scaling(x)), y


def _tensor(given: Any, what: str = "inputs") -> Tensor:
    check_unmasked(given, f"The {what} of a batch")
    try:
        # of a list of tensors no array is made
        return as_tensor(given) if isinstance(given, np.ndarray) else torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"The {what} of a batch are {a_kind(given)}; fit takes one tensor of inputs, or several"
            " in a tuple or a dict, and one of targets."
        ) from None


def _batches(
    begun: Callable[[], Iterator[Any]],
    steps: int,
    moved: Callable[[Any], tuple[Inputs, Tensor]],
    skip: int = 0,
) -> Batches:
    """A loader's batches, as many as it promised; those left out are gone through here and now."""
    found = begun() if skip else None
    for _ in range(skip):
        next(found)  # type: ignore[arg-type]

    def rest() -> Batches:
        count = skip
        for count, batch in enumerate(begun() if found is None else found, skip + 1):
            if count > steps:
                break
            yield moved(batch)
        if count != steps:
            more = "more" if count > steps else f"{count:,}"
            raise InputError(f"The DataLoader's length is {steps:,} batches, but it yielded {more}.")

    return rest()
