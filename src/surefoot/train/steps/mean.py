"""Whether a loss is a mean over rows, so that a batch's parts add up to it, asked at the first step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from surefoot.train.objective.losses import Loss, of_torch, stateful
from surefoot.train.randomness import forked

__all__ = ["NO_MEAN", "Part", "warn_unless_mean"]

NO_MEAN = "The loss of a whole batch is"  # a warning's beginning


@dataclass(frozen=True)
class Part:
    """What a model gave for a part of a batch, and the gradient of its share of the loss there."""

    output: Any
    gradient: Tensor | None


def warn_unless_mean(loss: Loss, parts: Sequence[Part], y: Tensor, parted: float) -> None:
    """Hold the loss of a whole batch, and its gradient, against those of its parts, from the same outputs.

    Where all rows have about the same loss, as of a head that begins with zeros, the gradient alone tells.

    Args:
        loss: (output, target) -> a scalar.
        parts: of the batch.
        y: its targets.
        parted: the sum of the parts' losses by their shares.
    """
    if not all(isinstance(part.output, Tensor) for part in parts):
        return
    if stateful(loss) is not None and not of_torch(loss):  # it would count once more, from another state
        return
    gradients = [part.gradient for part in parts if part.gradient is not None]
    slope = None
    try:
        with forked(y.device), torch.enable_grad():
            output = torch.cat([part.output for part in parts])
            output.requires_grad_(len(gradients) == len(parts))
            whole = loss(output, y)
            if output.requires_grad and whole.requires_grad:
                (slope,) = torch.autograd.grad(whole, output, allow_unused=True)
    except Exception:
        return  # outputs of several lengths, say, or with rows in another dimension
    value = float(whole.detach())
    if not math.isfinite(value):
        return  # that is told otherwise
    of_parts = f"of its {len(parts)} parts"
    if not math.isfinite(parted):
        _warn(
            f"{value:.4g}, but {parted:.4g} as the mean {of_parts}, as if one had nothing to average"
            f": with accumulate={len(parts)} it cannot be trained. Use fewer parts, or a torch loss"
            " that knows what to ignore, such as nn.CrossEntropyLoss(ignore_index=0)."
        )
    elif abs(value - parted) > 1e-3 * abs(value):
        _warn(
            f"{value:.4g}, but {parted:.4g} as the mean over its {len(parts)} parts: training in parts"
            " differs from training on whole batches."
        )
    elif slope is not None:
        rounding = 4 * torch.finfo(slope.dtype).eps
        off = float((slope - torch.cat(gradients)).norm() / slope.norm())
        if off > max(1e-3, rounding):
            _warn(
                f"{value:.4g}, as is the mean {of_parts}, but its gradient differs by {100 * off:.2g} %:"
                " training in parts differs from training on whole batches."
            )


def _warn(said: str) -> None:
    warnings.warn(f"{NO_MEAN} {said}", stacklevel=2)
