"""How raw values become the model's input: one affine map, learned from the training split alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from surefoot.errors import InputError, unknown
from surefoot.train.tensors import as_rows, check_unmasked

__all__ = ["KINDS", "Scaling", "learn"]

KINDS = ("standard", "unit", "raw")
_PART = 32_000  # bytes at once: as float64 they stay in the cache, and of so few torch shares out no work

_BLOCK = 2**29  # bytes of a table's columns as float64 at once


@dataclass(frozen=True, eq=False)
class Scaling:
    """z = (x − shift) / span, in float32; of inputs or a map in float64 in that, and then narrowed.

    Args:
        kind: "standard" (mean 0, deviation 1 on the training split), "unit" (0 … 1) or "raw" (x itself).
        shift: one number, or one for each column.
        span: likewise; never 0.

    Example:
        >>> Scaling("unit", torch.tensor(0.0), torch.tensor(255.0))(torch.tensor([0, 51], dtype=torch.uint8))
        tensor([0.0000, 0.2000])
    """

    kind: str
    shift: Tensor
    span: Tensor

    def __call__(self, x: Tensor | npt.NDArray[Any]) -> Tensor:
        """Scale a tensor or an array of any dtype, on its own device; returns a new float32 tensor."""
        x = as_rows(x) if isinstance(x, np.ndarray) else torch.as_tensor(x)
        if self.kind == "raw":
            return x.to(torch.float32, copy=True)
        z = x.to(torch.float64 if self.wide(x) else torch.float32, copy=True)
        return z.sub_(self.shift.to(x.device)).div_(self.span.to(x.device)).float()

    def wide(self, x: Tensor) -> bool:
        """Whether these inputs are scaled in float64, which Apple's GPU has not: then it is done before."""
        return self.kind != "raw" and torch.float64 in (x.dtype, self.shift.dtype)

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, to be saved beside a model."""
        dtype = str(self.shift.dtype).removeprefix("torch.")
        return {"kind": self.kind, "dtype": dtype, "shift": self.shift.tolist(), "span": self.span.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Scaling:
        """What `to_dict` gave, read back."""
        dtype = torch.float64 if saved["dtype"] == "float64" else torch.float32
        shift, span = (torch.tensor(saved[name], dtype=dtype) for name in ("shift", "span"))
        return cls(saved["kind"], shift, span)


def learn(kind: str, x: Tensor | npt.NDArray[Any]) -> Scaling:
    """Learn the map from the training split.

    standard: shift = mean, span = deviation; unit: shift = min, span = max − min (for bytes 0 and 255).

    Pixels (uint8, or more than one axis beside the rows) share one mean and one deviation; a table's columns
    (two axes, not uint8) each have their own. Where nothing varies the span is 1.

    Args:
        kind: one of `KINDS`.
        x: the training rows, (n, ...), as a tensor or an array.

    Returns:
        The map, in float64 for columns of that.

    Raises:
        InputError: `kind` is none of `KINDS`, or there are no numbers.

    Example:
        >>> learn("standard", torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        Scaling(kind='standard', shift=tensor([2., 5.]), span=tensor([1., 1.]))
    """
    if kind not in KINDS:
        raise unknown("scale", kind, KINDS)
    check_unmasked(x, "The rows that a scaling is learned from")
    try:
        x = as_rows(x)
    except (TypeError, ValueError) as error:
        raise InputError(f"A scaling can only be learned from numbers: {str(error).rstrip('.')}.") from error
    if not x.numel():
        raise InputError(f"A scaling is learned from rows, but inputs of shape {tuple(x.shape)} have none.")
    pixels = x.dtype == torch.uint8
    if kind == "raw":
        shift, span = torch.tensor(0.0), torch.tensor(1.0)
    elif kind == "unit" and pixels:
        shift, span = torch.tensor(0.0), torch.tensor(255.0)
    elif pixels:
        shift, span = _pixel_moments(x)
    else:
        axes = (0,) if x.ndim == 2 else tuple(range(x.ndim))
        blocks = _columns(x) if x.ndim == 2 and x.dtype != torch.float64 else [x]
        learned = [_moments(kind, block.double(), axes) for block in blocks]
        shift, span = learned[0] if len(learned) == 1 else map(torch.cat, zip(*learned, strict=True))
        if x.dtype == torch.float64:
            # of equal numbers too a deviation may be 1e-17, from the mean's rounding
            varies = x.amin(axes) < x.amax(axes)
            return Scaling(kind, shift, torch.where(varies & (span > 0), span, 1.0))
    span = torch.where(span > 0, span, 1.0)
    return Scaling(kind, shift.float(), span.float())


def _moments(kind: str, values: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    if kind == "unit":
        least = values.amin(axes)
        return least, values.amax(axes) - least
    return values.mean(axes), values.std(axes, correction=0)


def _columns(x: Tensor) -> list[Tensor]:
    """A table in blocks of columns that are not too large as float64: each is learned from as in the whole.

    Of one column alone torch adds up in another order, so there are two or more in a block.
    """
    width = max(2, _BLOCK // (8 * len(x)))
    blocks = list(torch.split(x, width, 1))
    if len(blocks) > 1 and blocks[-1].shape[1] == 1:
        blocks[-2:] = [x[:, -width - 1 :]]
    return blocks


def _pixel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of bytes, from the sums of x and x², whole numbers below 2⁵³: exact."""
    total = squares = 0
    for part in torch.split(x.flatten(), _PART):
        values = part.double()
        total += int(values.sum())
        squares += int(values.square_().sum())  # a dot product would wait for threads that come too late
    n = x.numel()
    variance = Fraction(n * squares - total**2, n**2)
    return torch.tensor(total / n, dtype=torch.float64), torch.tensor(
        float(variance), dtype=torch.float64
    ).sqrt()
