"""A Dataset whose tensors are in memory: a TensorDataset, or a Subset of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from surefoot.train.tensors import of_targets

__all__ = ["below", "targets_of"]

_AT_ONCE = 2**20  # numbers of targets that are looked at together


def below(dataset: Dataset[Any]) -> tuple[TensorDataset | None, list[Any]]:
    """The TensorDataset of inputs and targets that it is, if it is one, and the subsets' indices."""
    part: Any = dataset
    subsets = []
    while type(part) is Subset:
        subsets.append(part.indices)
        part = part.dataset
    return part if type(part) is TensorDataset and len(part.tensors) == 2 else None, subsets


def targets_of(
    dataset: Dataset[Any], floats: torch.dtype, device: torch.device
) -> Callable[[], Iterator[Tensor]] | None:
    """All targets, part by part, as a loss gets them; None where they are not in memory, or in no plain way.

    No part is kept: of masks of bytes, all as class numbers would be eight times as large as they are.

    Args:
        dataset: with a length.
        floats: what float64 becomes.
        device: where they go.
    """
    tensors, subsets = below(dataset)
    if tensors is None or tensors.tensors[1].layout != torch.strided or tensors.tensors[1].is_nested:
        return None
    _, y = tensors.tensors
    rows = _rows(subsets, len(y)) if subsets else None
    if subsets and rows is None:
        return None
    step = max(1, _AT_ONCE * len(y) // max(1, y.numel()))
    dtype = of_targets(y, floats)

    def parts() -> Iterator[Tensor]:
        for some in torch.split(y, step) if rows is None else (y[r] for r in torch.split(rows, step)):
            yield some.to(device, dtype)

    return parts


def _rows(subsets: list[Any], count: int) -> Tensor | None:
    """Which of the `count` rows the subsets pick, as int64; None where an index is not that of one row.

    All at once and as they are, torch takes some, such as bytes, for a mask, and others not at all.
    """
    picked = None
    try:
        for indices in subsets:
            found = np.asarray(indices)
            mask = isinstance(indices, Tensor) and indices.dtype == torch.uint8  # also one by one
            if mask or found.ndim != 1 or found.dtype.kind not in "iu":
                return None
            picked = found if picked is None else found[picked]
        rows = np.ascontiguousarray(picked, dtype=np.int64)
    except Exception:
        return None  # whatever is wrong will show in training, if it is
    within = ((rows >= -count) & (rows < count)).all()
    return torch.from_numpy(rows) if within else None
