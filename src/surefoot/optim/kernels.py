"""The arithmetic of SGD: lists of tensors in, updated in place. Gradients are only read."""

from __future__ import annotations

from torch import Tensor

__all__ = ["loop"]


def loop(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor | None],
    *,
    lr: float | Tensor,
    momentum: float,
    dampening: float,
    weight_decay: float | Tensor,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One tensor after the other: d = g + λθ; b = μb + (1−τ)d (b = d at first); θ −= γb, or γ(d + μb)."""
    for i, (p, g) in enumerate(zip(params, grads)):
        d = -g if maximize else g
        if weight_decay != 0:
            d = d.add(p, alpha=weight_decay)  # type: ignore[arg-type]
        u = d
        if momentum != 0:
            b = buffers[i]
            if b is None:
                b = buffers[i] = d.detach().clone()
            else:
                b.mul_(momentum).add_(d, alpha=1 - dampening)
            u = d.add(b, alpha=momentum) if nesterov else b
        p.add_(u, alpha=-lr)  # type: ignore[arg-type]
