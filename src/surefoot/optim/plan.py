"""Which tensors go to which kernel: worked out once, and used again while nothing has changed.

Whatever a user may change between two steps (gradients, parameters, state, options) is compared before each
use, in a few passes over lists and without looking up a parameter in a dict. Any difference means a new plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping
from operator import is_
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.flat import PLAIN, joined
from surefoot.optim.options import Options, check_dampening
from surefoot.optim.run import BUFFER, LOST, Run, local, local_grad, state_dtype

__all__ = ["Plan"]

SMALL = 16384  # elements; for fewer, waking a second thread costs more than it saves
State: TypeAlias = MutableMapping[Any, dict[str, Any]]
Groups: TypeAlias = "list[dict[str, Any]]"
Work: TypeAlias = "list[tuple[Run, list[Tensor], Options]]"


class Plan:
    """The runs of all groups, and everything they were worked out from."""

    def __init__(self, groups: Groups, state: State, options: list[Options]) -> None:
        for o in options:
            check_dampening(o)
        self.members = [list(group["params"]) for group in groups]
        self.kinds = [o.kind for o in options]
        self.idle = [p for params in self.members for p in params if p.grad is None]
        self.runs = [
            (i, run)
            for i, (params, o) in enumerate(zip(self.members, options, strict=True))
            for run in _runs([p for p in params if p.grad is not None], state, o)
        ]
        self.lasting = not any(run.first for _, run in self.runs)
        self.state, self.states = state, list(state.values())

    def work(self, groups: Groups, state: State, options: list[Options]) -> Work | None:
        """Each run with its gradients and options, or None if anything is not as it was."""
        if state is not self.state or not _same(state.values(), self.states):
            return None
        if self.idle and any(p.grad is not None for p in self.idle):
            return None
        for group, params, o, kind in zip(groups, self.members, options, self.kinds, strict=True):
            if o.kind != kind or not _same(group["params"], params):
                return None
        work = []
        for i, run in self.runs:
            grads = run.grads()
            if grads is None:
                return None
            work.append((run, grads, options[i]))
        return work

    def fresh_work(self, options: list[Options]) -> Work:
        """The same right after the plan was made, when there is nothing to compare."""
        return [(run, run.grads(fresh=True) or [], options[i]) for i, run in self.runs]


def _same(a: Collection[Any], b: Collection[Any]) -> bool:
    return len(a) == len(b) and all(map(is_, a, b))


def _runs(params: list[Tensor], state: State, o: Options) -> list[Run]:
    """Share out one group's parameters; missing state starts at 0."""
    runs: dict[tuple[Any, ...], Run] = {}
    many_small = sum(p.numel() <= SMALL for p in params) >= 4 and joined(params) is None
    for p in params:
        assert p.grad is not None
        first = _prepare(state, p, p.grad, o)
        buffer = state[p][BUFFER] if o.momentum != 0 else None
        kernel = _kernel(o, p, p.grad, buffer)
        few = many_small and kernel is kernels.fused and p.device.type == "cpu" and p.numel() <= SMALL
        contiguous = not p.grad.is_sparse and p.is_contiguous()
        key = (kernel, p.device, p.dtype, contiguous, few, first)
        run = runs.setdefault(key, Run(kernel, few, first))
        run.params.append(p)
        run.states.append(state[p] if o.momentum != 0 or o.kahan else {})
    for run in runs.values():
        run.close(o)
    return list(runs.values())


def _prepare(state: State, p: Tensor, g: Tensor, o: Options) -> bool:
    """Make the state that p lacks; True if its first buffer needs torch's rule b = d."""
    wanted = [key for key, needed in ((BUFFER, o.momentum != 0), (LOST, o.kahan)) if needed]
    missing = [key for key in wanted if state[p].get(key) is None]  # old torch kept None without momentum
    if missing and p.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "the first step of a parameter cannot be captured; take one step before the capture"
        )
    for key in missing:
        like = g if key == BUFFER and g.is_sparse else p
        state[p][key] = torch.zeros_like(like, dtype=state_dtype(key, p, o.state_dtype))
    if o.momentum != 0 and state[p][BUFFER].is_sparse and not g.is_sparse:
        state[p][BUFFER] = state[p][BUFFER].to_dense()
    return BUFFER in missing and o.convention == "torch" and o.dampening != 0


def _kernel(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> Callable[..., Any]:
    """The fastest kernel that is right for this parameter and that the user has not ruled out."""
    if o.differentiable:
        return kernels.differentiable
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
    p, g, b = local(p), local_grad(g, p), None if b is None else local(b)
    if _fusable(o, p, g, b):
        return kernels.fused
    return kernels.loop if p.device.type == "cpu" or type(p) not in PLAIN else kernels.foreach


def _fusable(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> bool:
    """True where torch's fused kernel is there and right."""
    dtypes = [torch.float32, torch.float64]
    if p.device.type == "cuda":
        # Not on the CPU, where it leaves whole vectors of these as they are (pytorch issue 191763).
        dtypes += [torch.float16, torch.bfloat16]
    return (
        kernels.FUSED
        and type(p) in PLAIN
        and p.device.type in ("cpu", "cuda")
        and p.dtype in dtypes
        # It takes memory as it lies, without a look at the strides.
        and _dense(p)
        and all(t.dtype == p.dtype and t.stride() == p.stride() for t in (g, p if b is None else b))
        and not o.kahan
        and (o.momentum == 0 or o.convention == "torch" or (o.convention == "ema" and not o.nesterov))
        and not isinstance(o.weight_decay, Tensor)
        and (
            not isinstance(o.lr, Tensor)
            or (o.lr.device == p.device and o.lr.dtype == torch.float32 and p.is_cuda)
        )
    )


def _dense(t: Tensor) -> bool:
    """True if t's elements fill its memory, each once, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
