"""The memory that `flatten` lays parameters and gradients in, end to end, and what may not be laid there.

A parameter stays the object it was, with its shape; only its memory moves.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, MutableMapping, Sequence, Set
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from surefoot.optim.flat import PLAIN, joined, pack, total, views
from surefoot.optim.kernels import fused_takes, fuses, knows_momentum
from surefoot.optim.options import Options

__all__ = ["Homes", "refuse_flat"]

Groups = Sequence[dict[str, Any]]


class Homes:
    """The flat memory of one optimizer: a home for the trainable parameters of each group, device and dtype.

    Args:
        groups: as in `param_groups`; `refuse_flat` has let them pass.
    """

    def __init__(self, groups: Groups = ()) -> None:
        with torch.no_grad():
            self._homes = [Home(params) for params in _by_kind(groups)]
        self.let_go(groups)

    def __len__(self) -> int:
        return len(self._homes)

    def __iter__(self) -> Iterator[Home]:
        return iter(self._homes)

    def zero(self, groups: Groups, set_to_none: bool) -> bool:
        """Fill gradients with 0 and bring in those that lie elsewhere; True if any lay elsewhere.

        Those of parameters without a home are dropped or filled with 0, as asked.
        """
        if _ids(groups) != self._ids:
            self.let_go(groups)
        came = [home.zero() for home in self._homes]  # of all: each fills its own gradients
        if changed := any(came):  # or some have moved away, as by model.to
            self.let_go(groups)
        for i, place in self._homeless:
            p = groups[i]["params"][place]
            if p.grad is not None:
                p.grad = None if set_to_none else p.grad.detach().zero_()
        return changed

    def let_go(self, groups: Groups) -> None:
        """Forget the flat memory of parameters that are no longer in a group, or have moved away."""
        self._ids = _ids(groups)
        present = {id_ for ids in self._ids for id_ in ids}
        self._homes = [home for home in self._homes if home.prune(present)]
        flat = {id(p) for home in self._homes for p in home.params}
        self._homeless = [
            (i, place) for i, ids in enumerate(self._ids) for place, id_ in enumerate(ids) if id_ not in flat
        ]

    def leave(self, state: MutableMapping[Any, Any]) -> None:
        """Give every parameter, gradient and buffer memory of its own again."""
        with torch.no_grad():
            for home in self._homes:
                home.leave()
                for p in home.params:
                    if p in state:
                        state[p] = {
                            key: value.clone() if isinstance(value, Tensor) else value
                            for key, value in state[p].items()
                        }
        self._homes = []


class Home:
    """The memory of some parameters' gradients, and the views on it that are their `grad`."""

    def __init__(self, params: list[Tensor]) -> None:
        self.params, self.whole = params, params[0].new_zeros(total(params))
        self.grads = views(self.whole, params)
        with _LOCK:
            _HOMES.add(self)
        self.addresses = [grad.data_ptr() for grad in self.grads]
        self.sizes = [p.numel() for p in params]
        for p, value, grad in zip(params, pack(params), self.grads, strict=True):
            p.data = value
            if p.grad is not None:
                p.grad = grad.copy_(p.grad)

    def zero(self) -> bool:
        """Fill the gradients with 0 and bring in those that lie elsewhere; True if any did, or moved away."""
        self.whole.zero_()
        addresses = list(map(Tensor.data_ptr, self.grads))
        at_home = all(map(is_, map(attrgetter("grad"), self.params), self.grads))
        sizes = list(map(Tensor.numel, self.params)) == self.sizes
        if addresses == self.addresses and at_home and sizes and all(map(_requires_grad, self.params)):
            return False
        changed = False
        for p, grad, address in zip(self.params, self.grads, self.addresses, strict=True):
            if _moved(p, grad, address):
                changed = True
                continue
            home = grad if p.requires_grad else None  # a gradient of 0 would still move a frozen one
            if p.grad is not None and p.grad is not home:  # who has none keeps none, and rests
                p.grad, changed = home, True
        return changed

    def prune(self, present: Set[int]) -> bool:
        """Let go of parameters whose ids are not present, or that have moved away; True if some are left."""
        kept = []
        for p, grad, address in zip(self.params, self.grads, self.addresses, strict=True):
            if id(p) in present and not _moved(p, grad, address):
                kept.append((p, grad, address))
            elif p.grad is grad and grad.data_ptr() == address:  # or it would be filled with the others
                p.grad = grad.detach().clone()
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


def _moved(p: Tensor, grad: Tensor, address: int) -> bool:
    """Whether a parameter is no longer like its gradient at home, or that one lies elsewhere."""
    same = (p.shape, p.dtype, p.device) == (grad.shape, grad.dtype, grad.device)
    return not same or grad.data_ptr() != address


_HOMES: weakref.WeakSet[Home] = weakref.WeakSet()  # of every flat optimizer that there is
_LOCK = threading.Lock()  # optimizers may be made in several threads


def _ids(groups: Groups) -> list[list[int]]:
    return [list(map(id, group["params"])) for group in groups]


def _by_kind(groups: Groups) -> list[list[Tensor]]:
    """The parameters that come to lie together."""
    kinds: dict[Any, list[Tensor]] = {}
    for i, group in enumerate(groups):
        for p in group["params"]:
            if p.requires_grad and fused_takes(p.dtype, p.device):
                kinds.setdefault((i, p.device, p.dtype), []).append(p)
    return list(kinds.values())


def refuse_flat(groups: Groups, own: Homes) -> None:
    """Refuse parameters that cannot be moved, and flat memory that would be of no use.

    Args:
        groups: as in `param_groups`.
        own: the homes that their parameters will have left by then.

    Raises:
        ValueError: what is in the way.
    """
    _refuse_useless(groups)
    _refuse_unmovable([p for params in _by_kind(groups) for p in params], own)


def _refuse_unmovable(params: list[Tensor], own: Homes) -> None:
    leaving = {id(p) for home in own for p in home.params}  # for memory of their own
    with _LOCK:
        flat = {id(p) for home in _HOMES for p in home.params} - leaving
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
                f"flatten cannot move the parameter of shape {shape}: another optimizer has flattened it;"
                " call that one's unflatten(), or delete it, first"
            )
        if _for_processes(p):
            raise ValueError(f"flatten cannot move the parameter of shape {shape}: it is in shared memory")
        if p.numel() and id(p) not in leaving:
            storages.setdefault(p.untyped_storage().data_ptr(), []).append(p)
    for sharing in storages.values():  # more than one where an earlier flatten has laid them out
        sharing.sort(key=Tensor.data_ptr)
        nbytes = sharing[0].untyped_storage().nbytes()
        if sum(p.nbytes for p in sharing) != nbytes or (len(sharing) > 1 and joined(sharing) is None):
            raise ValueError(
                f"flatten cannot move the parameter of shape {tuple(sharing[0].shape)}: it shares memory"
                " with others, perhaps from an earlier flatten; give it its own with p.data = p.data.clone()"
            )


def _for_processes(p: Tensor) -> bool:
    return p.device.type == "cpu" and bool(p.untyped_storage().is_shared())  # on a GPU all is


def _refuse_useless(groups: Groups) -> None:
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
        said = f"flatten has no effect with {why}, which has no kernel for all tensors at once; leave one out"
        raise ValueError(said)
