"""Parameters and gradients laid end to end in one piece of memory, so that one kernel call does for all.

A parameter stays the object it was, with its shape; only its memory moves. Whether tensors lie end to end is
seen from their addresses (`joined`), so whatever moves them again, be it `model.to` or a new gradient, is
noticed, and they are stepped one by one as before.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence, Set
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from surefoot.optim.kernels import fused_takes, fuses, knows_momentum
from surefoot.optim.options import Options

__all__ = ["PLAIN", "Home", "joined", "lay_out", "pack", "refuse_useless", "zeros_end_to_end"]

PLAIN = (torch.Tensor, torch.nn.Parameter)  # types with memory of their own, as a wrapper's is not


class Home:
    """The memory of some parameters' gradients, and the views on it that are their `grad`."""

    def __init__(self, params: list[Tensor]) -> None:
        self.params, self.whole = params, params[0].new_zeros(_total(params))
        self.grads = _views(self.whole, params)
        with _LOCK:
            _HOMES.add(self)
        self.addresses = [grad.data_ptr() for grad in self.grads]
        self.sizes = [p.numel() for p in params]
        for p, value, grad in zip(params, pack(params), self.grads, strict=True):
            p.data = value
            if p.grad is not None:
                p.grad = grad.copy_(p.grad)

    def zero(self) -> bool:
        """Fill the gradients with 0 and bring in those that lie elsewhere; True if there were such."""
        self.whole.zero_()
        addresses = list(map(Tensor.data_ptr, self.grads))
        at_home = all(map(is_, map(attrgetter("grad"), self.params), self.grads))
        sizes = list(map(Tensor.numel, self.params)) == self.sizes
        if addresses == self.addresses and at_home and sizes and all(map(_requires_grad, self.params)):
            return False
        changed = False
        for p, grad, address in zip(self.params, self.grads, self.addresses, strict=True):
            moved = grad.data_ptr() != address or not _fits(p, grad)
            # moved away, as by model.to; or frozen, and then a gradient of 0 would still move it
            home = None if moved or not p.requires_grad else grad
            if p.grad is not None and p.grad is not home:  # who has none keeps none, and rests
                p.grad, changed = home, True
        return changed

    def prune(self, present: Set[int]) -> bool:
        """Let go of parameters whose ids are not present, or that have moved away; True if some are left."""
        kept = [
            (p, grad, address)
            for p, grad, address in zip(self.params, self.grads, self.addresses, strict=True)
            if id(p) in present and _fits(p, grad)
        ]
        self.params, self.grads, self.addresses = map(list, zip(*kept, strict=True)) if kept else ([], [], [])
        self.sizes = [p.numel() for p in self.params]
        return bool(kept)

    def leave(self) -> None:
        """Give each parameter and gradient memory of its own again."""
        for p, grad in zip(self.params, self.grads, strict=True):
            if not _for_processes(p):
                p.data = p.data.clone()
            if p.grad is grad:
                p.grad = grad.clone()


_requires_grad = attrgetter("requires_grad")


def _fits(p: Tensor, grad: Tensor) -> bool:
    return (p.shape, p.dtype, p.device) == (grad.shape, grad.dtype, grad.device)


_HOMES: weakref.WeakSet[Home] = weakref.WeakSet()  # of every flat optimizer that there is
_LOCK = threading.Lock()  # optimizers may be made in several threads


def lay_out(groups: Sequence[dict[str, Any]]) -> list[Home]:
    """Move the trainable parameters of each group and their gradients end to end, by device and dtype.

    Raises:
        ValueError: for a parameter that cannot be moved; then none has been.
    """
    buckets: dict[Any, list[Tensor]] = {}
    for i, group in enumerate(groups):
        for p in group["params"]:
            if p.requires_grad and fused_takes(p.dtype, p.device):
                buckets.setdefault((i, p.device, p.dtype), []).append(p)
    _refuse([p for params in buckets.values() for p in params])
    with torch.no_grad():
        return [Home(params) for params in buckets.values()]


def _refuse(params: list[Tensor]) -> None:
    with _LOCK:
        flat = {id(p) for home in _HOMES for p in home.params}
    storages: dict[int, list[Tensor]] = {}
    for p in params:
        if is_lazy(p):
            raise ValueError(
                "flatten cannot move a parameter that has no size yet; pass the model some rows first"
            )
        shape = tuple(p.shape)
        if type(p) not in PLAIN or p.layout != torch.strided:
            raise ValueError(
                f"flatten cannot move the {type(p).__name__} of shape {shape}; it takes plain tensors"
            )
        if not p.is_contiguous() or p.is_conj() or p.is_neg():
            raise ValueError(f"flatten cannot move the parameter of shape {shape}: it is not contiguous")
        if p.grad is not None and p.grad.layout != torch.strided:
            raise ValueError(f"flatten cannot move the gradient of shape {shape}: it is sparse")
        if id(p) in flat:
            raise ValueError(
                f"flatten cannot move the parameter of shape {shape}: it is flat by another optimizer; call"
                " that one's unflatten(), or delete it, first"
            )
        if _for_processes(p):
            raise ValueError(
                f"flatten cannot move the parameter of shape {shape}: it is in memory that processes share"
            )
        if p.numel():
            storages.setdefault(p.untyped_storage().data_ptr(), []).append(p)
    for sharing in storages.values():  # more than one where an earlier flatten has laid them out
        sharing.sort(key=Tensor.data_ptr)
        nbytes = sharing[0].untyped_storage().nbytes()
        if sum(p.nbytes for p in sharing) != nbytes or (len(sharing) > 1 and joined(sharing) is None):
            raise ValueError(
                f"flatten cannot move the parameter of shape {tuple(sharing[0].shape)}: it shares its memory,"
                " perhaps since an earlier flatten of more; give it its own by p.data = p.data.clone()"
            )


def _for_processes(p: Tensor) -> bool:
    return p.device.type == "cpu" and bool(p.untyped_storage().is_shared())  # on a GPU all is


def refuse_useless(groups: Sequence[dict[str, Any]]) -> None:
    """Refuse flat memory where no group is stepped by the one kernel that makes use of it."""
    why = ""
    for group in groups:
        o = Options.of(group)
        kinds = {(p.dtype, p.device) for p in group["params"]}
        if not kinds:
            continue
        fusable = [kind for kind in kinds if fuses(o, *kind)]
        if o.differentiable or o.kahan:
            why = "kahan=True" if o.kahan else "differentiable=True"
        elif o.foreach or o.one_by_one:
            why = f"foreach={o.foreach}" if o.foreach is not None else "fused=False"
        elif not knows_momentum(o):
            why = f"convention={o.convention!r}{' with nesterov' * (o.convention == 'ema')}"
        elif not any(fused_takes(*kind) for kind in kinds):
            why = " and ".join(sorted(f"{dtype} on {device.type}" for dtype, device in kinds))
        elif not fusable:  # all else that can be in the way
            why = f"{'weight_decay' if isinstance(o.weight_decay, Tensor) else 'lr'} as a tensor"
        elif o.momentum != 0 and not any(o.state_dtype in (None, dtype) for dtype, _ in fusable):
            why = f"state_dtype={o.state_dtype}"
        else:
            return
    if why:
        said = f"flatten does nothing beside {why}, which has no kernel for all at once; leave one out"
        raise ValueError(said)


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
    return first.detach().as_strided((_total(tensors),), (1,))


def zeros_end_to_end(like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of −0 like these that lie end to end; see `state.prepare`."""
    whole = torch.full((_total(like),), -0.0, dtype=like[0].dtype, device=like[0].device)
    return _views(whole, like)


def pack(tensors: list[Tensor]) -> list[Tensor]:
    """Copies of the tensors that lie end to end."""
    views = _views(torch.empty(_total(tensors), dtype=tensors[0].dtype, device=tensors[0].device), tensors)
    for view, t in zip(views, tensors, strict=True):
        view.copy_(t)
    return views


def _gapless(t: Tensor) -> bool:
    return (
        t.layout == torch.strided
        and not t.is_nested
        and t.is_contiguous()
        and not (t.is_neg() or t.is_conj())
    )


def _total(tensors: Sequence[Tensor]) -> int:
    return sum(t.numel() for t in tensors)


def _views(whole: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    return [v.view_as(t) for v, t in zip(torch.split(whole, [t.numel() for t in like]), like, strict=True)]
