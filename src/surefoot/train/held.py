"""A Dataset whose tensors are in memory: a TensorDataset, or a Subset of one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from surefoot.train.tensors import of_targets

__all__ = ["below", "targets_of"]


def below(dataset: Dataset[Any]) -> tuple[TensorDataset | None, list[Any]]:
    """The TensorDataset of inputs and targets that it is, if it is one, and the subsets' indices."""
    part: Any = dataset
    subsets = []
    while type(part) is Subset:
        subsets.append(part.indices)
        part = part.dataset
    return part if type(part) is TensorDataset and len(part.tensors) == 2 else None, subsets


def targets_of(dataset: Dataset[Any], floats: torch.dtype, device: torch.device) -> Tensor | None:
    """All targets, as a model gets them; None where they are not in memory.

    Args:
        dataset: with a length.
        floats: what float64 becomes.
        device: where they go.
    """
    tensors, subsets = below(dataset)
    if tensors is None:
        return None
    _, y = tensors.tensors
    for indices in reversed(subsets):
        y = y[torch.as_tensor(indices)]
    return y.to(device, of_targets(y, floats))
