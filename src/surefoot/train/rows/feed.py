"""Whatever holds the rows (tensors, arrays, a Dataset, a DataLoader) -> batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from surefoot.errors import InputError, a_kind
from surefoot.train.data import Scaling, batches, order
from surefoot.train.data.scale import KINDS
from surefoot.train.looks.advice import of_bytes, of_inputs
from surefoot.train.rows.batch import Batches, Feed
from surefoot.train.rows.identity import mark
from surefoot.train.rows.inputs import Inputs, Several, of_several, pair_of, scaling_of_several, tensors
from surefoot.train.rows.loaders import of_dataset, of_loader
from surefoot.train.rows.portions import evenly
from surefoot.train.tensors import as_rows, check_unmasked, narrowed

__all__ = ["feed", "floats"]


_HUGE = 1e6  # beyond what is left unscaled on purpose
_SMALL = 2**28  # bytes of float inputs that are scaled once; more are scaled batch by batch


def feed(
    rows: Any,
    batch_size: int,
    *,
    device: torch.device,
    shuffle: bool = False,
    seed: int = 0,
    scaling: Callable[..., Any] | None = None,
    floats: torch.dtype = torch.float32,
    training: bool = True,
) -> Feed:
    """Batches of `rows`.

    Args:
        rows: (x, y) as tensors or arrays, x a tuple or a dict of them for a model of several inputs; a dict
            with the targets among them; an object with x and y; a Dataset of pairs or dicts; or a DataLoader
            (whose own batch size and order hold).
        batch_size: rows in a batch; the last one may be smaller.
        device: where the batches go; tensors and arrays move there once.
        shuffle: a new order in each epoch, depending on (seed, epoch) alone.
        seed: of that order, and of what a DataLoader draws late.
        scaling: applied to the inputs, on the device.
        floats: what float64 becomes: numpy makes it of itself, and few models are of it.
        training: whether each epoch is told to what has a set_epoch; else they are rows to validate on.

    Raises:
        InputError: nothing that holds rows, no rows, or inputs and targets of different counts.
    """
    if isinstance(rows, DataLoader):
        return of_loader(rows, device, scaling, floats, seed, training)
    if isinstance(rows, Dataset):
        return of_dataset(rows, batch_size, device, shuffle, seed, scaling, floats, training)
    x: Any
    if isinstance(rows, Mapping):
        x, y = pair_of(rows)
    elif isinstance(rows, (tuple, list)) and len(rows) == 2:
        x, y = rows
    elif hasattr(rows, "x") and hasattr(rows, "y"):
        x, y = rows.x, rows.y
    elif _like_dataset(rows):
        return of_dataset(rows, batch_size, device, shuffle, seed, scaling, floats, training)
    else:
        kind = type(rows).__name__
        raise InputError(f"Rows must be (x, y), a dict, a Dataset or a DataLoader, not {kind}.")
    y = _tensor(y, "targets")
    y = y.to(narrowed(y, floats))
    several = of_several(x, len(y))
    x = Several.of(x, partial(_tensor, what="inputs")) if several else _tensor(x, "inputs")
    if len(x) != len(y) or not len(x):
        raise InputError(
            f"There are {len(x):,} inputs and {len(y):,} targets; each input requires one target."
        )
    if not training:
        batch_size = evenly(batch_size, len(x))
    if scaling is not None and not callable(scaling):
        named = scaling in KINDS if isinstance(scaling, str) else False
        learned = f"; give scaling=surefoot.train.data.learn({scaling!r}, x), where x are the training inputs"
        raise InputError(f"The scaling must be a function of the inputs, not {scaling!r}{learned * named}.")
    as_given = scaling is None
    advice: Callable[[], str | None] | None = None
    if isinstance(x, Several):
        x = x.map(lambda t: t.to(narrowed(t, floats)))
        given, told, scaling = x, partial(mark, x, y), scaling_of_several(scaling)
        if scaling is None and any(t.dtype == torch.uint8 for t in x.parts):
            scaling = partial(Several.map, change=partial(_of_bytes, floats=floats))
    else:
        wide, wished = isinstance(scaling, Scaling) and scaling.wide(x), narrowed(x, floats)
        if not wide and x.dtype != wished and (device.type != "cpu" or 4 * x.numel() <= _SMALL):
            x = x.to(wished)
        elif not wide and x.dtype != wished:  # batch by batch: a mapped file stays on disk
            scaling = partial(_narrowed, dtype=wished, scaling=scaling)
        given, told = x, partial(mark, x, y, wished)  # as they were given: scaled, others may look the same
        if wide and scaling is not None and device.type != "cpu":  # and narrowed after that
            x, scaling = torch.cat([scaling(part) for part in torch.split(x, 1000)]), None
        elif scaling is None and x.dtype == torch.uint8:
            scaling, advice = partial(_of_bytes, floats=floats), partial(of_bytes, x)
    if as_given and advice is None:
        advice = partial(of_inputs, given)
    x, y = x.to(device), y.to(device)
    if scaling is not None and 4 * x.numel() <= _SMALL:
        x, scaling = scaling(x.clone()), None  # one that works in place would change the caller's
        if not isinstance(x, (Tensor, Several)):
            raise InputError(f"The scaling returns {a_kind(x)}; it must return a tensor.")
        if len(x) != len(y):
            raise InputError(f"The scaling returns {len(x):,} rows for {len(y):,}; it must keep every row.")

    def epoch(number: int, skip: int = 0) -> Batches:
        rows = order(len(x), seed, number) if shuffle else None
        return batches(x, y, batch_size, rows=rows, scaling=scaling, skip=skip)

    def first(count: int, size: int) -> Batches:
        return batches(x[:count], y[:count], size, scaling=scaling)

    flaw = partial(_flaw, given, y, x if scaling is None else None)
    steps, sample = -(-len(x) // batch_size), next(first(2, 2))
    return Feed(
        steps, len(x), y[:1], told, epoch, first, sample, targets=lambda: (y,), flaw=flaw, advice=advice
    )


def floats(model: nn.Module) -> torch.dtype:
    """What float64 becomes for this model: it stays for one of float64, and is float32 for all others."""
    own = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return own if own == torch.float64 else torch.float32


def _of_bytes(x: Tensor, floats: torch.dtype) -> Tensor:
    return x.to(floats) if x.dtype == torch.uint8 else x


def _like_dataset(rows: Any) -> bool:
    """Whether it is what other libraries call a Dataset, as Hugging Face's, which a DataLoader takes, too."""
    named = any(kind.__name__ == "Dataset" for kind in type(rows).__mro__)
    return named and hasattr(rows, "__getitem__") and hasattr(rows, "__len__")


def _narrowed(x: Tensor, dtype: torch.dtype, scaling: Callable[[Tensor], Tensor] | None) -> Tensor:
    x = x.to(dtype)
    return x if scaling is None else scaling(x)


def _tensor(values: Any, what: str) -> Tensor:
    """A tensor; targets that are whole numbers as int64."""
    check_unmasked(values, f"The {what}")
    try:
        tensor = as_rows(values)
    except (TypeError, ValueError) as error:
        text = str(error).rstrip(".")
        if what == "targets" and _texts(values):
            text = "they are text; get class numbers with np.unique(y, return_inverse=True)[1]"
        raise InputError(f"The {what} are neither a tensor nor an array of numbers: {text}.") from error
    if not tensor.ndim:
        raise InputError(f"The {what} are a single number; expected one entry per row.")
    if tensor.layout != torch.strided or tensor.is_meta:
        kind = "on the device 'meta'" if tensor.is_meta else "sparse; give them as x.to_dense()"
        raise InputError(f"The {what} are {kind}.")
    tensor = tensor.clone() if tensor.is_inference() else tensor.detach()
    if what == "targets" and not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor.long()
    return tensor


def _texts(values: Any) -> bool:
    with suppress(Exception):  # of nothing, or what numpy makes no array of
        return isinstance(np.asarray(values, dtype=object).flat[0], str)
    return False


def _flaw(x: Inputs, y: Tensor, scaled: Inputs | None) -> tuple[str | None, str | None]:
    """What is wrong with the numbers of the rows, if anything is: where NaN or inf is, and what is huge.

    Args:
        x: inputs as they were given.
        y: targets.
        scaled: inputs as the model gets them; None where they are scaled batch by batch.
    """
    missing = huge = None
    for what, values in (*(("inputs", t) for t in tensors(x)), ("targets", y)):
        bad = ~values.reshape(len(values), -1).isfinite().all(1) if values.numel() else None
        if missing is None and bad is not None and bad.any():
            row = int(bad.nonzero()[0])
            numbers = values[row].flatten()
            value = numbers[~numbers.isfinite()][0]
            more = f", as do {int(bad.sum()) - 1:,} more rows" if bad.sum() > 1 else ""
            missing = f"the {what} of row {row:,} hold {'NaN' if value.isnan() else 'inf'}{more}"
    taken = () if scaled is None else tensors(scaled)
    for what, values in (*(("inputs", t) for t in taken), ("targets", y)):
        if huge is None and values.numel() and values.is_floating_point():
            size = float(values.abs().max())
            if _HUGE <= size < float("inf"):
                huge = f"the {what} are as large as {size:,.6g}: scale them to about 1"
    return missing, huge
