"""The arithmetic of SGD: lists of tensors in, updated in place. Gradients are only read.

With d the gradient (negated for maximize, plus λθ for coupled weight decay), every convention is

    b ← μ b + c d                  the buffer, from 0
    u ← b, or n d + μ b (Nesterov), or d (no momentum)
    θ ← θ + s u

and only the three coefficients differ: see `coefficients`. torch's first buffer, b = d, is this line with
c = 1, so callers pass dampening 0 for first gradients. Decoupled decay is θ ← (1 − γλ) θ before the step.
With Kahan's compensation e, which is what rounding has held back so far, the last line becomes

    y ← e + s u − γλ θ,   θ' ← θ + y,   e ← y − (θ' − θ)

with y in the wider of the dtypes of e and θ: what is kept may be rounded, what is added may not.

`loop`, `foreach` and `differentiable` say these lines for one tensor, for a list, and without changing what
autograd must keep; `fused` hands them to torch's own kernel. Without momentum there are no buffers.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from surefoot.optim.options import Options

__all__ = [
    "FUSED", "SHORT", "coefficients", "differentiable", "foreach", "fused", "fused_takes", "fuses",
    "knows_momentum", "loop",
]  # fmt: skip

Scalar: TypeAlias = "float | Tensor"
Tensors: TypeAlias = "list[Tensor] | tuple[Tensor, ...]"

SHORT = (torch.float16, torch.bfloat16)
FUSED = hasattr(torch, "_fused_sgd_")  # private in torch: where it is missing, foreach and loop serve


def fused_takes(dtype: torch.dtype, device: torch.device) -> bool:
    """True where torch's fused kernel is right for parameters of this kind."""
    if device.type == "cuda" and dtype in SHORT:
        return True  # on the CPU it leaves whole vectors of these as they are (pytorch issue 191763)
    return device.type in ("cpu", "cuda") and dtype in (torch.float32, torch.float64)


def fuses(o: Options, dtype: torch.dtype, device: torch.device) -> bool:
    """True where the fused kernel also knows these options: neither Kahan nor Keras."""
    lr = o.lr
    return (
        fused_takes(dtype, device)
        and not o.kahan
        and knows_momentum(o)
        and not isinstance(o.weight_decay, Tensor)
        and (not isinstance(lr, Tensor) or (lr.dtype == torch.float32 and device.type == "cuda"))
    )


def knows_momentum(o: Options) -> bool:
    """True if the fused kernel has this momentum: not Keras's, nor Nesterov's of a mean."""
    return o.momentum == 0 or o.convention == "torch" or (o.convention == "ema" and not o.nesterov)


def coefficients(o: Options) -> tuple[Scalar, Scalar, Scalar]:
    """Weight c of d in the buffer, scale s of the update, weight n of d in Nesterov's u."""
    if o.momentum == 0:
        return 1, -o.lr, 1
    if o.convention == "keras":
        return -o.lr, 1, -o.lr
    if o.convention == "ema":
        return 1 - o.momentum, -o.lr, 1 - o.momentum
    return 1 - o.dampening, -o.lr, 1


def _sum(x: Tensor, a: Scalar, y: Tensor) -> Tensor:
    """Return x + a·y; a coefficient that is a tensor is not read back to the host, as alpha would be."""
    return torch.addcmul(x, y, a) if isinstance(a, Tensor) else torch.add(x, y, alpha=a)


def _add_(x: Tensor, a: Scalar, y: Tensor) -> Tensor:
    """Add a·y to x."""
    if y.layout == torch.sparse_coo:
        if x.layout == torch.strided and x.storage_offset() and not y.dense_dim():
            # torch would count the offset twice, and write beside x, where y is coalesced or one number
            indices, values, coalesced = y._indices(), y._values().unsqueeze(-1), y.is_coalesced()
            y = torch.sparse_coo_tensor(
                indices, values, (*y.shape, 1),
                device=x.device, is_coalesced=coalesced, check_invariants=False,
            )  # fmt: skip
            x.unsqueeze(-1).add_(y, alpha=a)  # type: ignore[arg-type]
            return x
    elif isinstance(a, Tensor):
        return x.addcmul_(y, a)
    return x.add_(y, alpha=a)  # type: ignore[arg-type]


def loop(params: Tensors, grads: Tensors, buffers: Tensors, lost: Tensors, o: Options) -> None:
    """One tensor after the other: every layout, dtype and device; temporaries of one tensor at most."""
    c, s, n = coefficients(o)
    for p, g, b, e in zip(params, grads, buffers or repeat(None), lost or repeat(None), strict=False):
        d = -g if o.maximize else g
        kept = e if b is None else b
        if kept is not None and o.own_state_dtype:
            d = d.to(torch.promote_types(d.dtype, kept.dtype))
        if o.coupled:
            d = _sum(d, o.weight_decay, p)
        if o.decoupled and e is None:
            p.mul_(1 - o.lr * o.weight_decay)
        u = d
        if b is not None:
            u = _add_(b.mul_(o.momentum), c, d)
            if o.nesterov:
                if d.is_sparse and not b.is_sparse:
                    u = _add_(b * o.momentum, n, d)
                elif d.dtype == b.dtype and not d.is_sparse and o.convention == "torch":  # n is 1
                    # in place, where d is no longer the gradient itself
                    u = (d.add if d is g else d.add_)(b, alpha=o.momentum)
                else:
                    u = d * n
                    u = u.add_(b, alpha=o.momentum) if u.dtype == b.dtype else _sum(u, o.momentum, b)
        if e is None:
            _add_(p, s, u)
        else:
            wide = torch.promote_types(p.dtype, e.dtype)
            y = e.to(wide)  # e itself, if it is wide enough
            _add_(y, s, u)
            if o.decoupled:
                _add_(y, -o.lr * o.weight_decay, p)
            before = p.to(wide, copy=True)
            p.add_(y)
            y.sub_(p - before)
            if y is not e:
                e.copy_(y)


def foreach(params: Tensors, grads: Tensors, buffers: Tensors, lost: Tensors, o: Options) -> None:
    """The same lines for lists: few launches on an accelerator; temporaries as large as the gradients."""
    c, s, n = coefficients(o)
    d = torch._foreach_neg(grads) if o.maximize else grads
    if o.own_state_dtype and (kept := buffers or lost):
        d = [x.to(torch.promote_types(x.dtype, y.dtype)) for x, y in zip(d, kept, strict=True)]
    if o.coupled:
        d = _foreach_sum(d, o.weight_decay, params)
    if o.decoupled and not lost:
        torch._foreach_mul_(params, 1 - o.lr * o.weight_decay)
    u = d
    if buffers:
        torch._foreach_mul_(buffers, o.momentum)
        _foreach_add_(buffers, c, d)
        u = buffers
        if o.nesterov:
            same = all(x.dtype == b.dtype for x, b in zip(d, buffers, strict=True))
            ours = o.maximize or o.coupled  # what is in d
            if o.convention != "torch":
                d, ours = torch._foreach_mul(d, n), True
            if same and ours:
                u = d
                _foreach_add_(u, o.momentum, buffers)
            else:
                u = torch._foreach_add(d, buffers, alpha=o.momentum)
    if not lost:
        _foreach_add_(params, s, u)
    else:
        wide = [torch.promote_types(p.dtype, e.dtype) for p, e in zip(params, lost, strict=True)]
        y = [e.to(dtype) for e, dtype in zip(lost, wide, strict=True)]  # e itself, if it is wide enough
        _foreach_add_(y, s, u)
        if o.decoupled:
            _foreach_add_(y, -o.lr * o.weight_decay, params)
        before = [p.to(dtype, copy=True) for p, dtype in zip(params, wide, strict=True)]
        torch._foreach_add_(params, y)
        torch._foreach_sub_(y, torch._foreach_sub(params, before))
        for e, rest in zip(lost, y, strict=True):
            if rest is not e:
                e.copy_(rest)


def _foreach_sum(x: Tensors, a: Scalar, y: Tensors) -> Tensors:
    if isinstance(a, Tensor):
        return torch._foreach_add(x, torch._foreach_mul(y, a))
    return torch._foreach_add(x, y, alpha=a)


def _foreach_add_(x: Tensors, a: Scalar, y: Tensors) -> None:
    if isinstance(a, Tensor):
        torch._foreach_add_(x, torch._foreach_mul(y, a))
    else:
        torch._foreach_add_(x, y, alpha=a)


def fused(params: Tensors, grads: Tensors, buffers: Tensors, lost: Tensors, o: Options) -> None:
    """One pass over the memory by torch's own kernel, nothing allocated; it knows neither Kahan nor Keras."""
    assert not lost, "fastest.py gives these to another kernel"
    if o.decoupled:
        torch._foreach_mul_(params, 1 - o.lr * o.weight_decay)
    lr: Any = o.lr  # torch declares it a number here, a tensor there
    decay: Any = 0 if o.decoupled_weight_decay else o.weight_decay
    torch._fused_sgd_(
        params,
        grads,
        buffers,
        weight_decay=decay,
        momentum=o.momentum,
        lr=lr,
        dampening=o.momentum if o.convention == "ema" else o.dampening,
        nesterov=o.nesterov,
        maximize=o.maximize,
        is_first_step=False,  # True leaves buffers uninitialised after an overflow; ours start at 0
    )
    increment_version(params)  # the kernel does not, and autograd would miss the change


def differentiable(
    params: Tensors, grads: Tensors, buffers: Tensors, lost: Tensors, o: Options
) -> list[Tensor]:
    """Do the same out of place, so that autograd can go back through the step; return the new buffers."""
    assert not lost, "refusals.py refuses kahan with differentiable"
    c, s, n = coefficients(o)
    new = []
    for p, g, b in zip(params, grads, buffers or repeat(None), strict=False):
        w = p.clone()
        d = -g if o.maximize else g
        if o.coupled:
            d = d + o.weight_decay * w
        if o.decoupled:
            w = (1 - o.lr * o.weight_decay) * w
        u = d
        if b is not None:
            u = b = o.momentum * b + c * d
            new.append(b)
            if o.nesterov:
                u = o.momentum * b + n * d  # in this order, or a sparse d would be first
        p.copy_(w + s * u)
    return new
