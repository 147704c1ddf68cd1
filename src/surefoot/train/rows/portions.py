"""How many rows are evaluated at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from surefoot.train.looks.passing import passed
from surefoot.train.rows.inputs import Inputs, tensors

__all__ = ["at_once", "evenly"]

_ROWS = 1000  # in a batch that is only evaluated; more gain nothing and leave the cache
_NUMBERS = 2**21  # in what a layer makes of a batch: from twice as many on, memory is asked for anew
_FEW = 8  # rows, of which each is work enough
_SMALL, _LARGE = 2**10, 2**18  # numbers in a small row; in a batch of larger ones
_WIDE = 64  # numbers that a layer makes of one whole number, such as a token


def at_once(
    model: nn.Module,
    sample: tuple[Inputs, Tensor] | None,
    batch_size: int,
    accumulate: int = 1,
    autocast: torch.autocast | None = None,
) -> int:
    """How many rows are evaluated at once: many small ones, and few of which a layer makes much.

    Where a gradient is taken in parts, for want of memory, no more than a part has. On a GPU, and where it
    cannot be seen what layers make, of large rows no more than are trained on.

    Args:
        model: to be evaluated.
        sample: a row or two, as the model gets them; None where there are none at hand.
        batch_size: rows in a step.
        accumulate: parts of it.
        autocast: under which the model is called.
    """
    part = max(1, batch_size // accumulate)
    if sample is None:
        return part
    most = part if accumulate > 1 else _ROWS
    widest = _widest(model, sample[0], autocast) if sample[0].device.type == "cpu" else None
    if widest is not None:
        return min(most, max(min(part, _FEW), _NUMBERS // widest))
    numbers = sum(t[0].numel() * (1 if t.is_floating_point() else _WIDE) for t in tensors(sample[0]))
    return most if numbers <= _SMALL else min(most, max(part, _LARGE // numbers))


def evenly(size: int, rows: int) -> int:
    """The size of batches, or a smaller one where a single row would be left, of which some models make less.

    Example:
        >>> evenly(256, 1025), evenly(256, 1026)
        (205, 256)
    """
    return size if rows % size != 1 else -(-rows // -(-rows // size))


def _widest(model: nn.Module, x: Inputs, autocast: torch.autocast | None) -> int | None:
    """The numbers of a row where it is widest: as the model gets it, or as a module's output."""
    found = [x.numel()]

    def note(module: nn.Module, output: Any) -> None:
        parts = output if isinstance(output, (tuple, list)) else [output]
        found.extend(part.numel() for part in parts if isinstance(part, Tensor))

    return max(1, max(found) // len(x)) if passed(model, x, note, autocast) else None
