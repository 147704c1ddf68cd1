"""Parameters that one kernel call steps: which they are, their state, and whether they still fit it.

No tensor that is the user's is held here, so that memory is free as soon as the user lets go of it: where the
parameters lie in the group, and their entries in the state, is enough to find them again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from operator import attrgetter, is_, itemgetter
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.fastest import Facts
from surefoot.optim.flat import joined, pack
from surefoot.optim.guards import guard
from surefoot.optim.options import Options
from surefoot.optim.state import BUFFER, LOST, Entry, Made, version
from surefoot.optim.threads import set_threads
from surefoot.optim.views import here, local, local_grad

__all__ = ["Call", "KernelGroup", "Share"]

_buffer, _lost, _grad = itemgetter(BUFFER), itemgetter(LOST), attrgetter("grad")
_address = Tensor.data_ptr
Whole: TypeAlias = "tuple[list[Tensor], list[Tensor], list[Tensor]]"


class Call(NamedTuple):
    """What the kernel of a group of parameters is called with, at one step."""

    run: KernelGroup
    params: Sequence[Tensor]
    grads: list[Any]
    entries: Sequence[Entry]
    buffers: list[Tensor]
    lost: list[Tensor]
    o: Options


class Share(NamedTuple):
    """What goes to one kernel in one call.

    Args:
        group: number of the group in `param_groups`.
        facts: of each of its parameters.
        small: whether its tensors are too small to be shared out to threads.
        undampened: whether their first buffer is torch's b = d.
        indices: places of its parameters in the group.
        made: state that is new.
    """

    group: int
    facts: Facts
    small: bool
    undampened: bool
    indices: list[int]
    made: list[Made]


class KernelGroup:
    """Parameters of one group that go to one kernel in one call, with their state.

    Args:
        share: which they are.
        params: all parameters of the group.
        places: id of a parameter → place of its entry in the state.
        o: the group's options.
    """

    def __init__(self, share: Share, params: Sequence[Tensor], places: dict[int, int], o: Options) -> None:
        self.group, self.facts, self.small, self.undampened, indices, made = share
        self.kernel, self.wrapped = self.facts.kernel, self.facts.wrapped
        self.made = made  # until its first step is done
        self._params = _picker(indices, len(params))
        mine = self._params(params)
        self._momentum, self._kahan = o.momentum != 0, o.kahan
        kept = [places[id(p)] for p in mine] if self._momentum or self._kahan else []
        self._entries = _picker(kept, len(places))
        self._offsets: list[int] | None = None  # of parameters that lie end to end, in bytes
        self._together = False  # whether gradients and buffers do so, too
        self._whole: Whole | None = None
        self._written: set[int] = set()  # where its parameters and buffers lay

    def call(self, params: Sequence[Tensor], keys: list[Any], entries: list[Entry], o: Options) -> Call:
        """Its tensors as they are now, of the group's parameters and the entries of the state.

        Raises:
            KeyError: the state is not where it was.
        """
        mine = self._params(params)
        held: Sequence[Entry] = ()
        buffers: list[Tensor] = []
        lost: list[Tensor] = []
        if self._momentum or self._kahan:
            if not all(map(is_, mine, self._entries(keys))):
                raise KeyError
            held = self._entries(entries)
            if self._momentum:
                buffers = list(map(_buffer, held))
            if self._kahan:
                lost = list(map(_lost, held))
        return Call(self, mine, list(map(_grad, mine)), held, buffers, lost, o)

    def use_flat_memory(self, call: Call, keep: bool) -> Call:
        """Take parameters, gradients and buffers as one tensor each, if they have been laid end to end.

        Args:
            call: its first.
            keep: whether these tensors may be kept, as of memory that `flatten` keeps alive anyway.
        """
        params, grads, buffers = call.params, call.grads, call.buffers
        if self.kernel is not kernels.fused or self.wrapped or joined(params) is None:
            return call
        if not keep and not all(map(Tensor.numel, params)):  # one without elements lies nowhere
            return call
        self._offsets = _offsets(params)
        if joined(grads) is None:
            return call
        if buffers and joined(buffers) is None:
            if len({b.data_ptr() for b in buffers if b.numel()}) < sum(b.numel() > 0 for b in buffers):
                return call  # some are one
            buffers = pack(buffers)
            for entry, b in zip(call.entries, buffers, strict=True):
                entry[BUFFER] = b
            self.made = [(entry, key, version(entry[key])) for entry, key, _ in self.made]
        call = call._replace(buffers=buffers)
        self._together = True
        if keep:
            self._whole = _whole(call)
            self._addresses = list(map(_address, [*grads, *params, *buffers]))
        return call

    def guard(self, call: Call) -> None:
        """Note how all tensors are laid out and which state there is, for `fits`."""
        self._ids = list(map(id, call.buffers + call.lost))
        # of the state, too: its memory is the user's to change, and the fused kernel looks at no sizes
        self._same = guard(*map(here, itertools.chain(call.grads, call.params, call.buffers, call.lost)))
        if self.kernel is kernels.fused and not self.wrapped:  # which would write what it reads
            self._written = {_address(t) for t in [*call.params, *call.buffers] if t.numel()}

    def fits(self, call: Call) -> bool:
        """True if all tensors are laid out as when they were noted, and the state is the same."""
        _, params, grads, _, buffers, lost, _ = call
        if list(map(id, buffers + lost if lost else buffers)) != self._ids:
            return False
        if self.wrapped:
            grads, params, buffers, lost = (list(map(here, ts)) for ts in (grads, params, buffers, lost))
        if not self._same(*grads, *params, *buffers, *lost):
            return False
        if self._whole is not None:
            return list(map(_address, [*grads, *params, *buffers])) == self._addresses
        if self._written and not self._written.isdisjoint(map(_address, grads)):
            return False
        if self._offsets is not None:
            # as a new plan would find it, or bits would go by what was before
            together = _offsets(params) == _offsets(grads) == self._offsets
            if together and not (self._together and (not buffers or _offsets(buffers) == self._offsets)):
                return False
            self._together = together
        return True

    def step(self, call: Call, grad_scale: Tensor | None) -> None:
        """One call of the kernel, on gradients divided by `grad_scale` if there is one."""
        _, params, grads, entries, buffers, lost, o = call
        if o.differentiable and buffers:  # a call before this one may have replaced one that is twice
            buffers = list(map(_buffer, entries))
        if self.undampened:
            o = o._replace(dampening=0)  # torch's first buffer b = d, from a buffer of zeros
        if isinstance(o.lr, Tensor) or isinstance(o.weight_decay, Tensor):
            o = o.on(params[0].device)
        if self.wrapped:
            grads = list(map(local_grad, grads, params))
            params, buffers, lost = (list(map(local, tensors)) for tensors in (params, buffers, lost))
        whole = self._whole or _whole(call) if self._together and grad_scale is None else None
        if whole is not None:
            params, grads, buffers = whole
        if grad_scale is not None:  # not in the kernel, which would write the unscaled gradients back
            grads = [self._unscaled(g, grad_scale) for g in grads]
        threads = torch.get_num_threads() if self.small and whole is None else 1
        if threads == 1:
            new = self.kernel(params, grads, buffers, lost, o)
        else:
            # Each small tensor would be shared out to all threads, which takes longer than the arithmetic.
            set_threads(1)
            try:
                new = self.kernel(params, grads, buffers, lost, o)
            finally:
                set_threads(threads)
        if params is not call.params:
            torch.autograd.graph.increment_version(call.params)
        if o.differentiable:
            for entry, b in zip(entries, new, strict=False):
                entry[BUFFER] = b

    def _unscaled(self, g: Tensor, scale: Tensor) -> Tensor:
        # in 16 bits, what the scale was to save would be lost at once
        dtype = g.dtype if self.kernel is kernels.fused else torch.promote_types(g.dtype, torch.float32)
        return g.to(dtype) / scale.to(g.device).squeeze()


def _offsets(tensors: Sequence[Tensor]) -> list[int]:
    """How far each begins behind the first, in bytes."""
    places = list(map(_address, tensors))
    return [place - places[0] for place in places]


def _whole(call: Call) -> Whole | None:
    """Parameters, gradients and buffers as one tensor each, which they are by their addresses."""
    sizes = list(map(Tensor.numel, call.params))
    total, first = sum(sizes), next((i for i, size in enumerate(sizes) if size), 0)
    try:
        p, g, b = (
            [ts[first].detach().as_strided((total,), (1,))] if ts else []
            for ts in (call.params, call.grads, call.buffers)
        )
    except RuntimeError:  # they are neighbours by chance
        return None
    return p, g, b


def _picker(places: list[int], count: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that picks what is at these places of a sequence of `count` things."""
    if places == list(range(count)):
        return lambda things: things
    if len(places) < 2:
        return lambda things: [things[place] for place in places]
    return itemgetter(*places)
