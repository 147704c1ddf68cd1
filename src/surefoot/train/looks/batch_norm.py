"""Batches of a single row, which batch norm cannot normalise, told before the run."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from surefoot.errors import InputError
from surefoot.train import modes
from surefoot.train.randomness import forked
from surefoot.train.rows.batch import Feed
from surefoot.train.rows.inputs import called

__all__ = ["check_single_rows"]


def check_single_rows(
    model: nn.Module,
    rows: Feed,
    batch_size: int,
    accumulate: int,
    autocast: torch.autocast | None = None,
) -> None:
    """Raise an InputError where batch norm would meet a single row, which it cannot normalise.

    That is mostly an epoch's last batch: a run would fail only there.
    """
    if rows.sample is None or not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return
    if not _single(rows.rows, batch_size, accumulate):
        return
    try:
        trial, x = copy.deepcopy(model), rows.sample[0][:1].clone()
        modes.train(trial)
        with torch.no_grad(), forked(x.device), autocast or nullcontext():
            called(trial, x)
    except Exception as error:
        if "more than 1 value per channel" not in str(error):
            return  # whatever else is wrong will show in training
    else:
        return  # of an image it normalises the pixels
    if rows.rows == 1:
        raise InputError(
            "There is only one training row, and batch norm cannot normalise a single row; give more."
        )
    last = rows.rows % batch_size
    what = (
        f"The last batch of an epoch has one row ({rows.rows:,} = {rows.rows // batch_size:,} ×"
        f" {batch_size:,} + 1)"
        if last == 1 and batch_size > 1
        else f"In {accumulate:,} parts a batch has parts of one row"
        if accumulate > 1
        else "A batch has one row"
    )
    better = next(
        (
            size
            for size in range(batch_size + 1, 4 * batch_size + 8)
            if not _single(rows.rows, size, accumulate)
        ),
        None,
    )
    hint = f", such as {better:,}" if better else ""
    raise InputError(
        f"{what}, and batch norm cannot normalise a single row; choose another batch size{hint}."
    )


def _single(rows: int, batch_size: int, accumulate: int) -> bool:
    """Whether a batch, or a part of one, has a single row."""
    sizes = {min(batch_size, rows), rows % batch_size} - {0}
    return any(size // min(accumulate, size) == 1 for size in sizes)
