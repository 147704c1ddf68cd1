"""Which tensors go to which kernel: worked out once, and used again while nothing has changed.

Whatever a user may change between two steps (gradients, parameters, state, options) is compared before each
use, in a few passes over lists and without looking up a parameter in a dict: that every object is the one it
was, and every tensor laid out as it was. Any difference means a new plan.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, MutableMapping
from operator import is_
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.fastest import fastest
from surefoot.optim.flat import joined, zeros_end_to_end
from surefoot.optim.kernel_group import (
    BUFFER,
    LOST,
    Call,
    Entry,
    KernelGroup,
    Made,
    Share,
    state_dtype,
    through_local,
    version,
    without_strides,
)
from surefoot.optim.options import Options, check_convention, read

__all__ = ["Plan", "forget"]

SMALL = 16384  # elements; for fewer, waking a second thread costs more than it saves
State: TypeAlias = MutableMapping[Any, Entry]
Groups: TypeAlias = "list[dict[str, Any]]"
Work: TypeAlias = "list[Call]"


class Plan:
    """The runs of all groups, and everything they were worked out from.

    State is known by ids, and by weak references that tell when it is gone: a plan keeps none alive that the
    user has let go of, as by moving it elsewhere between two steps.
    """

    def __init__(self, groups: Groups, state: State, options: list[Options]) -> None:
        for o in options:
            check_convention(o)
        self.options = options
        self.runs: list[KernelGroup] = []
        shares: list[Share] = []
        made: list[Made] = []
        try:
            for i, (group, o) in enumerate(zip(groups, options, strict=True)):
                shares += _share_out(i, group["params"], state, o, made)
            keys, entries = list(state), list(state.values())
            places = {id(p): place for place, p in enumerate(keys)}
            self._first: Work = []
            for share in shares:
                params, o = groups[share.group]["params"], options[share.group]
                self.runs.append(run := KernelGroup(share, params, places, o))
                self._first.append(run.use_flat_memory(run.call(params, keys, entries, o)))
        except BaseException:
            forget(state, made + [new for run in self.runs for new in run.made])
            raise
        self.lasting = not any(r.undampened or r.sparse or r.without_strides for r in self.runs)
        if self.lasting:
            self._remember(groups, state)

    def _remember(self, groups: Groups, state: State) -> None:
        self._params, self._count = _in_order(groups), len(state)
        self._idle = [p for group in groups for p in group["params"] if p.grad is None]
        mine = weakref.ref(self)

        def gone(_: Any) -> None:
            if (plan := mine()) is not None:
                plan.runs, plan._count = [], -1  # and with them the views on flat memory

        kept = [t for call in self._first for t in call.buffers + call.lost]
        self._watched = [weakref.ref(t, gone) for t in kept]
        for call in self._first:
            call.run.guard(call)

    def work(self, groups: Groups, state: State) -> Work | None:
        """Each run's tensors and options, or None if anything is not as it was."""
        params = _in_order(groups)
        if len(params) != len(self._params) or not all(map(is_, params, self._params)):
            return None
        if len(state) != self._count:
            return None
        for i, group in enumerate(groups):
            last = self.options[i]
            if not all(map(is_, read(group), last)):  # never so where a tensor has been read out
                o = self.options[i] = Options.of(group)
                if o.kind != last.kind:
                    return None
        for p in self._idle:
            if p.grad is not None:
                return None
        keys, entries, work = list(state), list(state.values()), []
        try:
            for run in self.runs:
                call = run.call(groups[run.group]["params"], keys, entries, self.options[run.group])
                if not run.fits(call):
                    return None
                work.append(call)
        except KeyError:
            return None
        return work

    def fresh_work(self) -> Work:
        """The same right after the plan was made, when there is nothing to compare."""
        work, self._first = self._first, []
        return work


def forget(state: State, made: list[Made]) -> None:
    """After a step that failed: drop state that is new and unwritten, so that a first step stays first."""
    for entry, key, before in made:
        new = entry.get(key)
        if new is None:
            continue
        unwritten = not new.is_inference() and new._version == before
        if unwritten or not (new._nnz() if new.is_sparse else new.any()):  # μ·0 may have been taken
            del entry[key]
    emptied = {id(entry) for entry, _, _ in made if not entry}
    for p in [p for p, entry in state.items() if id(entry) in emptied]:
        del state[p]


def _in_order(groups: Groups) -> list[Any]:
    """All parameters, in an order that tells of which group they are."""
    params: list[Any] = []
    for group in groups:
        params.append(None)
        params += group["params"]
    return params


def _share_out(
    group: int, params: list[Tensor], state: State, o: Options, made: list[Made]
) -> Iterable[Share]:
    """One group's parameters, by the kernel that steps them; missing state starts at 0, and is noted."""
    shares: dict[tuple[Any, ...], Share] = {}
    stepped = [p for p in params if p.grad is not None]
    end_to_end = joined(stepped) is not None
    many_small = sum(p.numel() <= SMALL for p in stepped) >= 4 and not end_to_end
    buffers = _flat_buffers(stepped, state, o) if end_to_end and o.momentum != 0 else {}
    for place, p in enumerate(params):
        if p.grad is None:
            continue
        if p.is_inference() and not torch.is_inference_mode_enabled():
            raise RuntimeError(
                "Inplace update to inference tensor outside InferenceMode is not allowed: the parameter of"
                f" shape {tuple(p.shape)} was made under torch.inference_mode(); make the model outside of it"
            )
        before = len(made)
        if o.momentum != 0 or o.kahan:
            _prepare(state[p], p, p.grad, o, made, buffers.get(id(p)))
        new = made[before:]
        undampened = any(key == BUFFER for _, key, _ in new) and o.convention == "torch" and o.dampening != 0
        buffer = state[p][BUFFER] if o.momentum != 0 else None
        _refuse_sizes(p, p.grad, buffer)
        kernel = fastest(o, p, p.grad, buffer)
        lost = state[p][LOST] if o.kahan else None
        wrapped = not (o.differentiable or p.grad.is_sparse) and through_local(p, p.grad, buffer, lost)
        small = many_small and kernel is kernels.fused and p.device.type == "cpu" and p.numel() <= SMALL
        key = (kernel, p.device, p.dtype, p.grad.is_sparse, small, undampened, wrapped)
        share = shares.setdefault(key, Share(group, kernel, small, undampened, wrapped, [], []))
        share.indices.append(place)
        share.made.extend(new)
    return shares.values()


def _refuse_sizes(p: Tensor, g: Tensor, b: Tensor | None) -> None:
    """Refuse a gradient or buffer that does not fit, before anything is changed."""
    if without_strides(p):
        return
    for what, t in (("gradient", g), ("momentum buffer", b)):
        if t is None or without_strides(t) or t.shape == p.shape:
            continue
        try:
            if torch.broadcast_shapes(t.shape, p.shape) == p.shape:  # type: ignore[no-untyped-call]
                continue
        except RuntimeError:
            pass
        shape, wanted = tuple(t.shape), tuple(p.shape)
        raise RuntimeError(
            f"the {what} has shape {shape}, which does not fit its parameter of shape {wanted}"
        )


def _flat_buffers(params: list[Tensor], state: State, o: Options) -> dict[int, Tensor]:
    """New buffers that lie end to end as their parameters do, by the ids of these; none if one has one."""
    for p in params:
        g, kept = p.grad, state.get(p, {}).get(BUFFER)
        if kept is not None or g is None or g.is_sparse or state_dtype(BUFFER, p, g, o) != p.dtype:
            return {}
    return {id(p): b for p, b in zip(params, zeros_end_to_end(params), strict=True)}


def _prepare(
    entry: Entry, p: Tensor, g: Tensor, o: Options, made: list[Made], buffer: Tensor | None = None
) -> None:
    """Make the state that p lacks, and put what is there into a form that can be written to.

    `buffer`, if there is one, becomes p's.
    """
    for key, needed in ((BUFFER, o.momentum != 0), (LOST, o.kahan)):
        if not needed:
            continue
        t = entry.get(key)
        if t is None:  # or old torch's, which kept None without momentum
            if p.is_cuda and torch.cuda.is_current_stream_capturing():
                raise RuntimeError(
                    "the first step of a parameter cannot be captured; take one step before the capture"
                )
            t = buffer if key == BUFFER else None
            if t is None:
                dtype = state_dtype(key, p, g, o)
                if key == BUFFER and not (g.is_sparse or without_strides(p)):
                    t = torch.full_like(p, -0.0, dtype=dtype)  # −0 + d is d to the bit, also where d is −0
                else:
                    t = torch.zeros_like(g if key == BUFFER and g.is_sparse else p, dtype=dtype)
            entry[key] = t
            made.append((entry, key, version(t)))
        elif hasattr(t, "placements") and hasattr(p, "placements") and t.placements != p.placements:
            # torch's buffer lies as the gradient did when it came first
            entry[key] = t.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
        elif t.is_conj() or t.is_neg():  # lazily: its memory says something else
            entry[key] = t.resolve_conj().resolve_neg()
        elif t.is_sparse and not g.is_sparse:
            entry[key] = t.to_dense()
