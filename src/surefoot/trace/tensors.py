"""Tensors of torch made of exact values, and read back; torch is imported when there is one to make."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError
from surefoot.trace.events import Option
from surefoot.trace.values import Value, elements, exact_binary, shape

if TYPE_CHECKING:
    import torch

__all__ = ["dtype_of", "is_real", "plain", "read", "to_tensor"]


def to_tensor(value: Value, dtype: str) -> torch.Tensor:
    """Make a tensor of an exact value, each number rounded to the dtype.

    Raises:
        InputError: there is no such floating-point dtype.
    """
    import torch

    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise InputError(
            f"{dtype!r} is not a floating-point dtype of torch; use e.g. 'float64' or 'bfloat16'."
        )
    sizes = shape(value)
    numbers = [float(x) for x in elements(value)]
    return torch.tensor(numbers, dtype=kind).reshape(sizes)


def is_real(value: Any) -> bool:
    """Whether a piece of state is made of real numbers; masks, flags and complex numbers are left out."""
    if hasattr(value, "tolist"):
        return not any(kind in str(value.dtype) for kind in ("complex", "bool"))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def dtype_of(value: Any) -> str:
    """The dtype of a tensor of floating point; "" for anything else."""
    dtype = getattr(value, "dtype", None)
    return str(dtype).removeprefix("torch.") if getattr(dtype, "is_floating_point", False) else ""


def read(value: torch.Tensor | int | float) -> Value:
    """The exact value of a tensor or number; NaN and the infinities stay floats."""
    return exact_binary(value.detach() if hasattr(value, "detach") else value)


def plain(option: Option) -> Any:
    """An option as an optimizer takes it: numbers as floats."""
    if isinstance(option, tuple):
        return tuple(plain(o) for o in option)
    return float(option) if isinstance(option, Fraction) else option
