"""Tensors laid end to end in one piece of memory, so that one kernel call does for all.

Whether tensors lie end to end is seen from their addresses (`joined`), so whatever moves them again, be it
`model.to` or a new gradient, is noticed, and they are stepped one by one as before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["PLAIN", "joined", "pack", "total", "views", "zeros_end_to_end"]

PLAIN = (torch.Tensor, torch.nn.Parameter)  # types with memory of their own, as a wrapper's is not


def joined(tensors: Sequence[Tensor]) -> Tensor | None:
    """The tensors as one of one dimension, if they lie end to end in the same memory."""
    if len(tensors) < 2:
        return None
    first: Tensor | None = None
    end = storage = 0
    for t in tensors:  # most do not, and the second tells
        if type(t) not in PLAIN or not _gapless(t):
            return None
        if first is None or not first.numel():
            if first is not None and (t.dtype != first.dtype or t.device != first.device):
                return None
            first, storage, end = t, t.untyped_storage().data_ptr(), t.data_ptr() + t.nbytes
            continue
        if t.dtype != first.dtype or t.device != first.device:
            return None
        if t.numel():
            if t.data_ptr() != end or t.untyped_storage().data_ptr() != storage:
                return None
            end += t.nbytes
    assert first is not None
    return first.detach().as_strided((total(tensors),), (1,))


def zeros_end_to_end(like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of −0 like these that lie end to end; see `state.prepare`."""
    whole = torch.full((total(like),), -0.0, dtype=like[0].dtype, device=like[0].device)
    return views(whole, like)


def pack(tensors: list[Tensor]) -> list[Tensor]:
    """Copies of the tensors that lie end to end."""
    whole = torch.empty(total(tensors), dtype=tensors[0].dtype, device=tensors[0].device)
    copies = views(whole, tensors)
    for copy, t in zip(copies, tensors, strict=True):
        copy.copy_(t)
    return copies


def _gapless(t: Tensor) -> bool:
    return (
        t.layout == torch.strided
        and not t.is_nested
        and t.is_contiguous()
        and not (t.is_neg() or t.is_conj())
    )


def total(tensors: Sequence[Tensor]) -> int:
    """The number of elements of all."""
    return sum(t.numel() for t in tensors)


def views(whole: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views on the parts of one tensor, with shapes and sizes of these."""
    return [v.view_as(t) for v, t in zip(torch.split(whole, [t.numel() for t in like]), like, strict=True)]
