"""The gradient clipped to a norm, over all parameters together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["clip"]


@torch.no_grad()
def clip(params: Sequence[Tensor], norm: float) -> None:
    """Scale the gradients down together to this norm where theirs is larger: as clip_grad_norm_ does.

    That takes no sparse ones, as of nn.Embedding(sparse=True). The norm of such a gradient is that of its
    values, once those of the same place are added up.
    """
    if not any(p.grad is not None and p.grad.is_sparse for p in params):
        torch.nn.utils.clip_grad_norm_(params, norm)
        return
    values = []
    for p in params:
        if p.grad is not None:
            p.grad = p.grad.coalesce() if p.grad.is_sparse else p.grad
            values.append(p.grad.values() if p.grad.is_sparse else p.grad)
    scale = (norm / (torch.stack([v.norm() for v in values]).norm() + 1e-6)).clamp(max=1.0)
    for v in values:
        v.mul_(scale)
