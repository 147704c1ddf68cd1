"""Which tensors go to which kernel: worked out once, and used again while nothing has changed.

Whatever a user may change between two steps (gradients, parameters, state, options) is compared before each
use, in a few passes over lists and without looking up a parameter in a dict: that every object is the one it
was, and every tensor laid out as it was. Any difference means a new plan.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from operator import is_
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.flat import PLAIN, joined
from surefoot.optim.options import Options, check_convention, read
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
            check_convention(o)
        self.options = options
        self.idle = [p for group in groups for p in group["params"] if p.grad is None]
        self.runs = [
            run
            for i, (group, o) in enumerate(zip(groups, options, strict=True))
            for run in _runs(i, [p for p in group["params"] if p.grad is not None], state, o)
        ]
        self.lasting = not any(run.first or run.sparse for run in self.runs)
        if self.lasting:
            self.held = self._held(groups, state)
            for run in self.runs:
                run.remember()

    def _held(self, groups: Groups, state: State) -> list[Any]:
        """Every object that may be replaced by another, in an order that tells where it was."""
        held = [state, *state, *state.values()]
        for group in groups:
            held.append(None)
            held += group["params"]
        for run in self.runs:
            for key in run.keys:
                held += map(key, run.states)
        return held

    def work(self, groups: Groups, state: State) -> Work | None:
        """Each run with its gradients and options, or None if anything is not as it was."""
        try:
            held = self._held(groups, state)
        except KeyError:
            return None
        if len(held) != len(self.held) or not all(map(is_, held, self.held)):
            return None
        for i, group in enumerate(groups):
            last = self.options[i]
            if not all(map(is_, read(group), last)):  # never so where a tensor has been read out
                o = self.options[i] = Options.of(group)
                if o.kind != last.kind:
                    return None
        for p in self.idle:
            if p.grad is not None:
                return None
        work = []
        for run in self.runs:
            grads = run.grads()
            if not run.fits(grads):
                return None
            work.append((run, grads, self.options[run.group]))
        return work

    def fresh_work(self) -> Work:
        """The same right after the plan was made, when there is nothing to compare."""
        return [(run, run.grads(), self.options[run.group]) for run in self.runs]


def _runs(group: int, params: list[Tensor], state: State, o: Options) -> list[Run]:
    """Share out one group's parameters; missing state starts at 0."""
    runs: dict[tuple[Any, ...], Run] = {}
    many_small = sum(p.numel() <= SMALL for p in params) >= 4 and joined(params) is None
    for p in params:
        assert p.grad is not None
        first = _prepare(state, p, p.grad, o)
        buffer = state[p][BUFFER] if o.momentum != 0 else None
        kernel = _kernel(o, p, p.grad, buffer)
        few = many_small and kernel is kernels.fused and p.device.type == "cpu" and p.numel() <= SMALL
        key = (kernel, p.device, p.dtype, p.grad.is_sparse, few, first)
        run = runs.setdefault(key, Run(group, kernel, few, first))
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
        # It takes memory as it lies, without a look at shapes and strides.
        and _dense(p)
        and not (p.is_neg() or g.is_neg())  # lazily, as complex networks do it
        and all(_alike(t, p) for t in (g, p if b is None else b))
        and not o.kahan
        and (o.momentum == 0 or o.convention == "torch" or (o.convention == "ema" and not o.nesterov))
        and not isinstance(o.weight_decay, Tensor)
        and (not isinstance(o.lr, Tensor) or (o.lr.dtype == torch.float32 and p.is_cuda))
    )


def _alike(t: Tensor, p: Tensor) -> bool:
    return t.dtype == p.dtype and t.shape == p.shape and t.stride() == p.stride()


def _dense(t: Tensor) -> bool:
    """True if t's elements fill its memory, each once, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
