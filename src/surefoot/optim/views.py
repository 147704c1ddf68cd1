"""What a kernel sees of a tensor: the plain, real one on its memory, or on this process's part of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["here", "local", "local_grad", "through_local", "without_strides"]


def through_local(p: Tensor, *others: Tensor | None) -> bool:
    """Whether a parameter is stepped through a plain, real tensor on its memory: complex, or distributed."""
    if hasattr(p, "to_local"):
        return True
    return p.is_complex() and not p.is_conj() and all(t is None or t.is_complex() for t in others)


def without_strides(t: Tensor) -> bool:
    """Whether the tensor is sparse, nested or otherwise not laid out by strides."""
    return t.layout != torch.strided or t.is_nested


def local(t: Tensor) -> Tensor:
    """The plain, real tensor on t's memory (this process's part of it): SGD works on each element alone.

    Of a conjugated parameter it would be a copy; fastest.py gives those to a kernel as they are.
    """
    if hasattr(t, "to_local"):
        t = t.to_local()
    return torch.view_as_real(t.resolve_conj()) if t.is_complex() else t


def here(t: Any) -> Any:
    """What this process has of a tensor, as it is."""
    return t.to_local() if hasattr(t, "to_local") else t


def local_grad(g: Tensor, p: Tensor) -> Tensor:
    """The same for p's gradient, which may still have to be summed over processes or laid out as p is."""
    if hasattr(p, "to_local") and hasattr(g, "redistribute"):
        g = g.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
    return local(g)
