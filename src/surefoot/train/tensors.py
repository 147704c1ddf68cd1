"""Tensors from what holds numbers, and what they hold, read without changing them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surefoot.errors import InputError

__all__ = ["as_rows", "as_tensor", "check_unmasked", "ends", "narrowed", "of_targets", "raw"]

_COUNTS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32)


def as_tensor(values: Any) -> Tensor:
    """Tensors as they are, and all else by way of an array: in its memory where torch can use that.

    It cannot where the rows go backwards, as of x[::-1], or the bytes of a number do.

    Raises:
        TypeError, ValueError: they are no numbers.
    """
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    if array.dtype.kind in "biufc":
        size = array.itemsize
        usable = array.dtype.isnative and all(stride >= 0 and stride % size == 0 for stride in array.strides)
        array = array if usable else array.astype(array.dtype.newbyteorder("="), order="C")
    return torch.as_tensor(array)


def as_rows(values: Any) -> Tensor:
    """As `as_tensor`, of rows that nothing writes to here: they may be a file that is mapped read-only.

    Raises:
        TypeError, ValueError: as `as_tensor`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return as_tensor(values)


def check_unmasked(values: Any, what: str) -> None:
    """Raise an InputError for an array of which some values are masked: below the mask is any number.

    Args:
        values: of any kind.
        what: "The inputs", say.
    """
    masks = sys.modules.get("numpy.ma")  # without it there is none
    if masks is None or not isinstance(values, masks.MaskedArray):
        return
    if count := int(masks.count_masked(values)):
        raise InputError(
            f"{what} are a masked array, and {count:,} of its {values.size:,} values"
            f" {'is' if count == 1 else 'are'} masked; fill them in, as x.filled(0) does, or drop their rows."
        )


def narrowed(tensor: Tensor, floats: torch.dtype) -> torch.dtype:
    """The dtype that a model gets: float64 only where its own floats are."""
    return floats if tensor.dtype == torch.float64 else tensor.dtype


def of_targets(target: Tensor, floats: torch.dtype) -> torch.dtype:
    """The dtype that a loss gets targets in: class numbers are int64."""
    return torch.int64 if target.dtype in _COUNTS else narrowed(target, floats)


def ends(t: Tensor) -> Sequence[Tensor] | None:
    """The least and the greatest of floats; NaN where that is among them. Nothing waits for the device.

    None of anything else, and where torch cannot tell, as of most that is sparse.
    """
    if not t.is_floating_point() or t.layout != torch.strided or t.is_nested or not t.numel():
        return None
    try:
        return torch.aminmax(t.detach())
    except (NotImplementedError, RuntimeError):  # of a dtype that has no order here, such as float8
        return None


def raw(t: Tensor) -> memoryview:
    r"""The bytes of a tensor's numbers, in their order.

    Example:
        >>> bytes(raw(torch.tensor([[1, 256]], dtype=torch.int16)))
        b'\x01\x00\x00\x01'
    """
    flat = t.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    if flat.stride() != (1,):  # of a single number torch calls any stride contiguous, but views no bytes
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().data
