"""What fit is given, looked at first: what would fail late, or train nothing without a word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from surefoot.errors import InputError
from surefoot.train.looks.batch_norm import check_single_rows
from surefoot.train.modes import looked_at
from surefoot.train.objective.losses import measured
from surefoot.train.rows.batch import Batches, Feed
from surefoot.train.rows.inputs import Inputs, Several, called, check_taken, tensors

__all__ = [
    "check_keeps_rows",
    "check_model",
    "check_rows",
    "check_takes",
    "check_valid",
    "of_one_kind",
]


def check_model(model: Any) -> None:
    """Raise an InputError for what is no model, or has nothing to train."""
    if not isinstance(model, nn.Module):
        made = f"the class {model.__name__}; create an instance" if isinstance(model, type) else repr(model)
        raise InputError(f"The model is a torch.nn.Module, not {made}.")
    for name, p in model.named_parameters():
        if is_lazy(p):
            raise InputError(
                f"The model's {name} has no size yet; pass it some rows before training, as in model(x[:2])."
            )
        if p.is_meta:
            raise InputError(
                f"The model's {name} is on the device 'meta', which holds no numbers; make it elsewhere, or"
                " give it some by model.to_empty(device='cpu')."
            )
        if p.is_inference():
            raise InputError(
                f"The model's {name} was made under torch.inference_mode(), and can never be trained; make"
                " the model outside of it."
            )
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError("The model has no parameters to train: none requires a gradient.")


def check_rows(
    model: nn.Module,
    rows: Feed,
    valid: Feed | None,
    batch_size: int,
    accumulate: int,
    *,
    autocast: torch.autocast | None,
    writable: bool,
) -> None:
    """Raise an InputError for rows that the model would fail on late, or change.

    Args:
        model: to be trained.
        rows: to train on.
        valid: to validate on.
        batch_size: rows in a step.
        accumulate: parts of it.
        autocast: under which the model is called.
        writable: whether the model may write into its rows.
    """
    check_takes(model, rows, autocast)
    if valid is not None:
        check_valid(model, rows, valid, autocast)
    check_single_rows(model, rows, batch_size, accumulate, autocast)
    if not writable:
        check_keeps_rows(model, rows, valid, autocast=autocast)


def check_keeps_rows(model: nn.Module, *feeds: Feed | None, autocast: torch.autocast | None = None) -> None:
    """Raise an InputError for a model that writes into its input: batches are slices of the rows themselves.

    It would change them at each evaluation, and with them all that is measured on them.
    """
    sample = next((rows.sample for rows in feeds if rows is not None and rows.first is not None), None)
    if sample is None:
        return
    x = sample[0].clone()
    versions = [t._version for t in tensors(x)]
    try:
        with looked_at(model, x.device, autocast):
            called(model, x)
    except Exception:
        return  # whatever is wrong will show in training
    if [t._version for t in tensors(x)] != versions:
        raise InputError(
            "The model changes its input in place, and with it the rows that it is given;"
            " let its forward begin with x = x.clone()."
        )


def check_takes(model: nn.Module, rows: Feed, autocast: torch.autocast | None) -> None:
    """Raise an InputError where the model fails at the inputs' dtype, but takes them in its own, or as int64.

    Args:
        model: to be trained.
        rows: to train on.
        autocast: under which it is called, and which narrows floats before they reach it.
    """
    wide = autocast is None
    own = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    numbered = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules())
    if rows.sample is None:
        return
    x = rows.sample[0].clone()
    if isinstance(x, Several):
        check_taken(model, x)
        return  # which of them is of the wrong dtype shows in training
    if own is None or not (wide or numbered):
        return
    if x.dtype == own and not numbered:
        return
    with looked_at(model, x.device, autocast):
        if _takes(model, x.clone()):
            return
        if wide and x.is_complex() and not own.is_complex:
            _check_complex(model, x, own)
        floats = wide and x.dtype != own and _takes(model, x.to(own))
        whole = numbered and not x.is_complex() and bool((x == x.long()).all()) and _takes(model, x.long())
    given, taken = (str(dtype).removeprefix("torch.") for dtype in (x.dtype, own))
    if floats:
        raise InputError(
            f"The model cannot take inputs of {given}; give it {taken}, as by"
            f" scaling=lambda x: x.to(torch.{taken})."
        )
    if whole:
        bytes_too = ", which bytes become here too" * x.is_floating_point()
        raise InputError(f"The model takes whole numbers, and not {given}{bytes_too}; give x.long().")


def _check_complex(model: nn.Module, x: torch.Tensor, own: torch.dtype) -> None:
    """Raise an InputError for complex inputs of a model that takes real ones: cast, they lose a part."""
    cast = "" if x.real.dtype == own else f".to({own})"
    whole = _takes(model, x.abs().to(own))
    if not whole and not _takes(model, torch.view_as_real(x).flatten(1).to(own)):
        return
    absolute = (
        f"absolute values, as by scaling=lambda x: x.abs(){cast}; or, to a model of twice as many inputs,"
    )
    raise InputError(
        f"The model cannot take inputs of {str(x.dtype).removeprefix('torch.')}; give it their"
        f" {f'{absolute} their ' * whole}real and imaginary parts, as by scaling=lambda x:"
        f" torch.view_as_real(x).flatten(1){cast}."
    )


def _takes(model: nn.Module, x: Inputs) -> bool:
    try:
        called(model, x)
    except Exception:
        return False
    return True


def check_valid(model: nn.Module, rows: Feed, valid: Feed, autocast: torch.autocast | None) -> None:
    """Raise an InputError for rows to validate on that are of another kind than those to train on."""
    if valid.target is not None:
        _check_kind(rows, valid.target)
    if rows.sample is None or valid.sample is None:
        return
    x, other = (feed.sample[0][:1].clone() for feed in (rows, valid) if feed.sample is not None)
    told = [_told(inputs) for inputs in (x, other)]
    if told[0] == told[1]:
        return
    with looked_at(model, x.device, autocast):
        if _takes(model, other) or not _takes(model, x):
            return  # whatever else is wrong will show in training
    raise InputError(
        f"The model takes the rows to train on, {told[0]}, but not those to validate on, {told[1]}."
    )


def _told(x: Inputs) -> str:
    """What rows are like: dtypes and shapes, and what the model is called with."""
    kinds = [f"{str(t.dtype).removeprefix('torch.')} of shape {tuple(t.shape[1:])}" for t in tensors(x)]
    if isinstance(x, Several) and x.names:
        kinds = sorted(f"{name}: {kind}" for name, kind in zip(x.names, kinds, strict=True))
    return " and ".join(kinds)


def of_one_kind(rows: Feed, valid: Feed) -> Feed:
    """The rows to validate on; where their targets could not be looked at, they are when they first come."""

    def checked(number: int, skip: int = 0) -> Batches:
        for x, y in valid.epoch(number, skip):
            _check_kind(rows, y)
            yield x, y

    return valid if valid.target is not None else replace(valid, epoch=checked)


def _check_kind(rows: Feed, target: torch.Tensor) -> None:
    assert rows.target is not None  # those to train on are always looked at
    kinds = ["measured" if measured(y) else "classes" for y in (rows.target, target)]
    if kinds[0] != kinds[1]:
        raise InputError(f"The targets to train on are {kinds[0]}, but those to validate on are {kinds[1]}.")
