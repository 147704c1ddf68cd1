"""One kernel call: the parameters that go to it, their state, and whether they still fit it."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.flat import joined, pack
from surefoot.optim.look import remember
from surefoot.optim.options import Options

__all__ = ["BUFFER", "LOST", "Run", "local", "local_grad", "state_dtype", "wrapped"]

BUFFER, LOST = "momentum_buffer", "compensation"
_buffer, _lost, _grad = itemgetter(BUFFER), itemgetter(LOST), attrgetter("grad")
_is_contiguous, _address = Tensor.is_contiguous, Tensor.data_ptr


def state_dtype(key: str, p: Tensor, wish: torch.dtype | None) -> torch.dtype:
    """The dtype of p's state: as wished, else p's own; 8 or 11 bits would lose a compensation too."""
    if wish is None and key == LOST and p.dtype in (torch.bfloat16, torch.float16):
        return torch.float32
    dtype = wish or p.dtype
    return dtype.to_complex() if p.is_complex() and not dtype.is_complex else dtype


def wrapped(p: Tensor) -> bool:
    """Complex and distributed tensors are stepped through a plain, real tensor on the same memory."""
    return p.is_complex() or hasattr(p, "to_local")


def local(t: Tensor) -> Tensor:
    """The plain, real tensor on t's memory (this process's part of it): SGD works on each element alone."""
    if hasattr(t, "to_local"):
        t = t.to_local()
    return torch.view_as_real(t.resolve_conj()) if t.is_complex() else t


def local_grad(g: Tensor, p: Tensor) -> Tensor:
    """The same for p's gradient, which may still have to be summed over processes or laid out as p is."""
    if hasattr(p, "to_local") and hasattr(g, "redistribute"):
        g = g.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
    return local(g)


class Run:
    """Parameters of one group that go to one kernel in one call, with their state."""

    def __init__(self, group: int, kernel: Callable[..., Any], few: bool, first: bool) -> None:
        self.group, self.kernel, self.few, self.first = group, kernel, few, first
        self.params: list[Tensor] = []
        self.states: list[dict[str, Any]] = []

    def close(self, o: Options) -> None:
        """All parameters are in: collect what the kernel takes."""
        self.buffers: list[Tensor] = [s[BUFFER] for s in self.states] if o.momentum != 0 else []
        self.lost: list[Tensor] = [s[LOST] for s in self.states] if o.kahan else []
        self.keys = [get for get, held in ((_buffer, self.buffers), (_lost, self.lost)) if held]
        self.sparse = any(p.grad is not None and p.grad.is_sparse for p in self.params)
        self.wrapped = not (o.differentiable or self.sparse) and any(map(wrapped, self.params))
        self.whole = None if self.wrapped else self._join()

    def _join(self) -> tuple[list[Tensor], ...] | None:
        """Parameters, gradients and buffers as one tensor each, if flatten has laid them end to end."""
        grads = [p.grad for p in self.params if p.grad is not None]
        if self.kernel is not kernels.fused or joined(self.params) is None or joined(grads) is None:
            return None
        if self.buffers and joined(self.buffers) is None:
            self.buffers = pack(self.buffers)
            for state, b in zip(self.states, self.buffers, strict=True):
                state[BUFFER] = b
        self.addresses = list(map(_address, grads + self.params + self.buffers))
        lists = (self.params, grads, self.buffers)
        return tuple([whole] if (whole := joined(tensors)) is not None else [] for tensors in lists)

    def grads(self) -> list[Any]:
        """The gradients as the kernel takes them; None for one that is not there."""
        grads = list(map(_grad, self.params))
        if self.wrapped:
            grads = [g if g is None else local_grad(g, p) for g, p in zip(grads, self.params, strict=True)]
        return grads

    def remember(self) -> None:
        """Note how gradients and parameters are laid out, for `fits`; the state is SGD's own."""
        self._same = remember(*self.grads(), *self._local(self.params))

    def fits(self, grads: list[Any]) -> bool:
        """True if these gradients, and the parameters, are laid out as when they were noted."""
        if self.whole is None:
            params = self._local(self.params) if self.wrapped else self.params
            return self._same(*grads, *params)
        try:
            tensors = grads + self.params
            dense = all(map(_is_contiguous, tensors))
            return dense and list(map(_address, tensors + self.buffers)) == self.addresses
        except TypeError:
            return False  # a gradient is missing

    def _local(self, tensors: list[Tensor]) -> list[Tensor]:
        return list(map(local, tensors)) if self.wrapped else tensors

    def step(self, grads: list[Tensor], o: Options, unscaled: bool = False) -> None:
        """One call of the kernel; `unscaled` gradients are copies of the parameters' own."""
        if self.first:
            o = o._replace(dampening=0)  # torch's first buffer b = d, from a buffer of zeros
        if isinstance(o.lr, Tensor) or isinstance(o.weight_decay, Tensor):
            o = o.on(self.params[0].device)
        params, buffers, lost = self.params, self.buffers, self.lost
        if self.wrapped:
            params, buffers, lost = map(self._local, (params, buffers, lost))
        elif self.whole is not None and not unscaled:
            params, grads, buffers = self.whole
        threads = torch.get_num_threads() if self.few else 1
        if threads == 1:
            new = self.kernel(params, grads, buffers, lost, o)
        else:
            # Each small tensor would be shared out to all threads, which takes longer than the arithmetic.
            torch.set_num_threads(1)
            try:
                new = self.kernel(params, grads, buffers, lost, o)
            finally:
                torch.set_num_threads(threads)
        if params is not self.params:
            torch.autograd.graph.increment_version(self.params)
        if o.differentiable:
            for state, b in zip(self.states, new, strict=False):
                state[BUFFER] = b
