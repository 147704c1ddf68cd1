"""Which kernel steps a parameter: the fastest that is right for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.flat import PLAIN
from surefoot.optim.kernel_group import local, local_grad, through_local, without_strides
from surefoot.optim.options import Options

__all__ = ["fastest"]


def fastest(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> Callable[..., Any]:
    """The fastest kernel that is right for this parameter and that the user has not ruled out."""
    if o.differentiable:
        return kernels.differentiable
    if p.is_conj() or without_strides(p) or (without_strides(g) and not g.is_sparse):
        return kernels.loop  # which asks nothing of memory
    if g.is_sparse:
        if o.coupled:
            raise RuntimeError(
                "weight_decay is not possible with sparse gradients; use decoupled_weight_decay"
            )
        return kernels.loop
    if o.foreach:
        return kernels.foreach
    if not o.fused and (o.foreach is False or o.fused is False):
        return kernels.loop
    if through_local(p, g, b):
        p, g, b = local(p), local_grad(g, p), None if b is None else local(b)
    if _fusable(o, p, g, b):
        return kernels.fused
    return kernels.loop if p.device.type == "cpu" or type(p) not in PLAIN else kernels.foreach


def _fusable(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> bool:
    """True where torch's fused kernel is there and right."""
    return (
        kernels.FUSED
        and type(p) in PLAIN
        and kernels.fuses(o, p.dtype, p.device)
        # It takes memory as it lies, without a look at shapes and strides.
        and _dense(p)
        and not (p.is_neg() or g.is_neg())  # lazily, as complex networks do it
        and all(_alike(t, p) for t in (g, p if b is None else b))
        and not _overlap(p, g, b)
    )


def _alike(t: Tensor, p: Tensor) -> bool:
    return t.dtype == p.dtype and t.shape == p.shape and t.stride() == p.stride()


def _overlap(*tensors: Tensor | None) -> bool:
    """True if dense tensors have memory in common, as where a user has begun the buffer with the gradient."""
    places = sorted((t.data_ptr(), t.data_ptr() + t.nbytes) for t in tensors if t is not None and t.numel())
    return any(end > start for (_, end), (start, _) in itertools.pairwise(places))


def _dense(t: Tensor) -> bool:
    """True if t's elements fill its memory, each once, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
