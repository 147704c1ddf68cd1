"""Which kernel steps a parameter: the fastest that is right for it, and what else its layout tells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from surefoot.optim import kernels
from surefoot.optim.flat import PLAIN
from surefoot.optim.guards import Check, guard
from surefoot.optim.options import Options
from surefoot.optim.refusals import check_kind
from surefoot.optim.views import local, local_grad, through_local, without_strides

__all__ = ["Facts", "Found", "Known", "fastest"]

_MOST = 100_000
SMALL = 16384  # elements; for fewer, waking a second thread costs more than it saves


class Facts(NamedTuple):
    """What is known of a parameter, its gradient and its state by how they are laid out.

    Args:
        kernel: of kernels.py, the fastest that is right.
        device: of the parameter.
        dtype: of the parameter.
        wrapped: whether it is stepped through plain, real tensors.
        fleeting: whether this choice of kernel may be wrong at the next step though nothing looks different:
            they have memory in common, no guard knows their layout, or they are of inference mode.
    """

    kernel: Callable[..., Any]
    device: torch.device
    dtype: torch.dtype
    wrapped: bool
    fleeting: bool


# the facts, and whether it is too small to be shared out to threads, by a kernel that would
Found: TypeAlias = tuple[Facts, bool]


class Known:
    """The facts of a group's parameters, found once for each and true while its layout stays.

    Args:
        o: the group's options.

    Raises:
        ValueError, RuntimeError: for options that are not allowed beside each other.
    """

    def __init__(self, o: Options) -> None:
        check_kind(o)
        self.o = o
        self._found: dict[int, tuple[Check, Found, int]] = {}
        self._all: dict[Facts, Facts] = {}  # so that equal ones are the same

    def under(self, o: Options) -> Known:
        """The same under options that decide nothing otherwise, else none."""
        if o.kind != self.o.kind:
            return Known(o)
        self.o = o
        return self

    def get(self, p: Tensor, g: Tensor, state: Sequence[Tensor | None]) -> Found | None:
        """What is known of a parameter with this gradient and state; None if they are laid out otherwise."""
        if (known := self._found.get(id(p))) is None:
            return None
        same, found, size = known
        if not same(p, g, *state):
            return None
        if size:
            at, grad = p.data_ptr(), g.data_ptr()
            if -size < at - grad < size:
                return None
            for t in state:
                if t is not None and (-size < at - t.data_ptr() < size or -size < grad - t.data_ptr() < size):
                    return None
        return found

    def note(self, p: Tensor, g: Tensor, state: Sequence[Tensor]) -> Found:
        """Find the facts of a parameter with this gradient and state, and keep them."""
        o, b = self.o, state[0] if self.o.momentum != 0 else None
        kernel = fastest(o, p, g, b)
        fused = kernel is kernels.fused
        plain = all(type(t) in PLAIN for t in (p, g, *state))
        sparse = g.is_sparse
        known = not any(without_strides(t) and not (sparse and t.is_sparse) for t in (p, g, *state))
        shared = plain and known and not (fused or sparse) and _overlap(p.nbytes, p, g, *state)
        facts = Facts(
            kernel=kernel,
            device=p.device,
            dtype=p.dtype,
            wrapped=not (o.differentiable or sparse) and through_local(p, g, *state),
            fleeting=shared or not known or any(t.is_inference() for t in (p, *state)),
        )
        small = fused and p.device.type == "cpu" and p.numel() <= SMALL
        found = self._all.setdefault(facts, facts), small
        if plain and not facts.fleeting:
            if len(self._found) > _MOST:  # of many that are no more
                self._found.clear()
            self._found[id(p)] = guard(p, g, *state), found, p.nbytes if fused else 0
        return found


def fastest(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> Callable[..., Any]:
    """The fastest kernel that is right for this parameter and that the user has not ruled out."""
    if o.differentiable:
        return kernels.differentiable
    if p.is_conj() or without_strides(p) or (without_strides(g) and not g.is_sparse):
        return kernels.loop  # which asks nothing of memory
    if g.is_sparse:
        if o.coupled:
            raise RuntimeError(
                "weight_decay is not possible with sparse gradients; use decoupled_weight_decay"
            )
        return kernels.loop
    if o.foreach:
        return kernels.foreach
    if o.one_by_one:
        return kernels.loop
    if through_local(p, g, b):
        p, g, b = local(p), local_grad(g, p), None if b is None else local(b)
    if _fusable(o, p, g, b):
        return kernels.fused
    return kernels.loop if p.device.type == "cpu" or type(p) not in PLAIN else kernels.foreach


def _fusable(o: Options, p: Tensor, g: Tensor, b: Tensor | None) -> bool:
    """True where torch's fused kernel is there and right."""
    return (
        kernels.FUSED
        and type(p) in PLAIN
        and kernels.fuses(o, p.dtype, p.device)
        # It takes memory as it lies, without a look at shapes and strides.
        and _dense(p)
        and not (p.is_neg() or g.is_neg())  # lazily, as complex networks do it
        and all(_alike(t, p) for t in (g, p if b is None else b))
        and not _overlap(p.nbytes, p, g, b)
    )


def _alike(t: Tensor, p: Tensor) -> bool:
    return t.dtype == p.dtype and t.shape == p.shape and t.stride() == p.stride()


def _overlap(size: int, *tensors: Tensor | None) -> bool:
    """True if dense tensors of so many bytes overlap, as where a user began the buffer with the gradient."""
    places = sorted([t.data_ptr() for t in tensors if t is not None])
    return any(end - start < size for start, end in itertools.pairwise(places))


def _dense(t: Tensor) -> bool:
    """True if t's elements fill its memory, each once, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
