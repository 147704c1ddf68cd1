"""Whether a faster step is the eager one: both are taken from the same place, and compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from surefoot.train.randomness import forked
from surefoot.train.steps.mean import NO_MEAN

__all__ = ["difference", "on_trial", "unchanged"]


@contextmanager
def on_trial(device: torch.device) -> Iterator[None]:
    """Steps on copies: random numbers go on afterwards from where they are now, and nothing is told twice."""
    with forked(device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_MEAN)
        yield


@contextmanager
def unchanged(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors, in place, and the random numbers are afterwards as they are now; gives the copies."""
    before = [t.detach().clone() for t in tensors]
    with forked(tensors[0].device):
        try:
            yield before
        finally:
            with torch.no_grad():
                for t, value in zip(tensors, before, strict=True):
                    t.copy_(value)


def difference(
    tensors: Sequence[Tensor], ours: Callable[[], Tensor], eager: Callable[[], Tensor]
) -> str | None:
    """Take our steps, put everything back, and take the eager ones; say where they part, or None.

    The measure is each tensor's movement over the steps, so a wrong step shows however small lr is.

    Args:
        tensors: all that the steps change.
        ours: takes the steps, and returns their losses.
        eager: the same, as they are written.
    """
    with unchanged(tensors) as before:
        losses, taken = ours(), [t.detach().clone() for t in tensors]
    expected = eager()
    for got, want, start in [(losses, expected, expected), *zip(taken, tensors, before, strict=True)]:
        if not got.is_floating_point():
            if not torch.equal(got, want):
                return f"an integer tensor of shape {tuple(got.shape)} differs"
            continue
        if not got.numel():
            continue
        moved = (want - start).abs().max().item() if got is not losses else 0.0
        allowed = 1e-3 * moved + 64 * torch.finfo(got.dtype).eps * max(1.0, want.abs().max().item())
        apart = (got - want).abs().max().item()
        if not apart <= allowed:
            return f"a tensor of shape {tuple(got.shape)} is off by {apart:.3g}; rounding is {allowed:.3g}"
    return None
