"""What is said before the first step of rows by which few models learn: numbers far from 1."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from surefoot.train.objective.losses import is_distance, squared_error
from surefoot.train.objective.objective import Objective
from surefoot.train.rows.inputs import Inputs, Several
from surefoot.train.tensors import ends

__all__ = ["of_bytes", "of_inputs", "of_targets", "scales_itself"]

_BRIGHT = 32  # bytes from which on they are pixels, not counts or a mask
_FAR = 50.0  # from which on usual lrs are too large: gradients grow with inputs, curvature with their squares
_MANY = 2**26  # numbers: of more, a thousand rows are looked at
# of these some come first in a model that takes numbers as they are
_OWN = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.Embedding, nn.EmbeddingBag)


def of_bytes(x: Tensor) -> str | None:
    """What to do about bytes that reach the model as they are, where they are large."""
    largest = int(x.max()) if x.numel() else 0
    if largest < _BRIGHT:
        return None
    return (
        f"The inputs are bytes as large as {largest}, and few models learn from these; give"
        " scaling=data.scaling, where load() returned data, or scaling=lambda x: x / 255."
    )


def of_inputs(x: Inputs) -> str | None:
    """What to do about floats that reach the model as they are, where they are large."""
    if isinstance(x, Several):
        size, name = max((_size(part), name) for part, name in zip(x.parts, x.told, strict=True))
        if size <= _FAR:
            return None
        return (
            f"The numbers of {name} are as large as {size:,.6g}; few models learn from these. Scale them to"
            " about 1 first, or give scaling=, a function of all inputs."
        )
    if (size := _size(x)) <= _FAR:
        return None
    return (
        f"The inputs are as large as {size:,.6g}; few models learn from these. Scale them to about 1, as with"
        " scaling=surefoot.train.data.learn('standard', x), where x are the training inputs."
    )


def of_targets(parts: Iterable[Tensor], objective: Objective) -> str | None:
    """What to do about large measured targets, given in parts."""
    near = objective.loss is squared_error or is_distance(objective.loss)
    if not near or (size := max(map(_size, parts), default=0.0)) <= _FAR:
        return None
    return (
        f"The targets are as large as {size:,.6g}; few models reach these with usual steps. Scale them to"
        " about 1, as with (y - y.mean()) / y.std() of the training targets."
    )


def scales_itself(model: nn.Module) -> bool:
    """Whether the model has layers that are there for numbers of any size, or for whole ones."""
    return any(isinstance(module, _OWN) for module in model.modules())


def _size(t: Tensor) -> float:
    """The largest of floats; 0 of anything else, and of NaN or inf, which are told otherwise."""
    found = ends(t if t.numel() <= _MANY else t[:: max(1, len(t) // 1000)])
    low, high = (0.0, 0.0) if found is None else torch.stack([*found]).tolist()
    size = max(-low, high)
    return size if size < float("inf") else 0.0
