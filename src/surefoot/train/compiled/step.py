"""Run a compiled program in the place of K eager steps, on the model's and the optimizer's own tensors."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from surefoot.optim import SGD
from surefoot.train.compiled.noise import Noise

__all__ = ["CompiledSteps"]


class CompiledSteps:
    """K training steps by one call of a native program.

    Args:
        model: the model, in training mode.
        optimizer: its SGD; parameters with momentum have their buffers already, so the first step is eager.
        run: the program, from a package.
        noise: the random tensors it wants.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: SGD,
        run: Callable[[list[Tensor]], list[Tensor]],
        noise: Sequence[Noise],
    ) -> None:
        keep_memory()
        self._model, self._optimizer, self._run = model, optimizer, run
        self._draw = [n.drawer() for n in noise]
        self.attach()

    def attach(self) -> None:
        """Look up the tensors anew; needed after something replaced them (loading a checkpoint, say)."""
        named = [*self._model.parameters(), *self._model.buffers()]
        self._state = [t.detach() for t in [*named, *momenta(self._model, self._optimizer)]]

    def __call__(self, x: Tensor, y: Tensor, hyper: Tensor) -> Tensor:
        """Take K steps.

        Args:
            x: inputs, K × batch × …
            y: targets, K × batch × …
            hyper: float64, K × groups × 2: lr and momentum of each step.

        Returns:
            The K losses, each before its step.
        """
        return self._run([*self._state, x, y, hyper, *(draw() for draw in self._draw)])[0]

    def disagreement(self, eager: Callable[[], Tensor], x: Tensor, y: Tensor, hyper: Tensor) -> str | None:
        """Take K eager steps, and the compiled ones on copies beside them; say where they part, or None.

        The measure is each tensor's movement over the K steps, so a wrong step shows however small lr is.
        """
        before = [t.clone() for t in self._state]
        random = torch.random.get_rng_state()
        ours = [t.clone() for t in before]
        losses = self._run([*ours, x, y, hyper, *(draw() for draw in self._draw)])[0]
        torch.random.set_rng_state(random)
        expected = eager()
        pairs = [(losses, expected, expected), *zip(ours, self._state, before, strict=True)]
        for got, want, start in pairs:
            if not got.is_floating_point():
                if not torch.equal(got, want):
                    return f"an integer tensor of shape {tuple(got.shape)} differs"
                continue
            moved = (want - start).abs().max().item() if got is not losses else 0.0
            allowed = 1e-3 * moved + 64 * torch.finfo(got.dtype).eps * max(1.0, want.abs().max().item())
            apart = (got - want).abs().max().item()
            if not apart <= allowed:
                return (
                    f"a tensor of shape {tuple(got.shape)} is off by {apart:.3g}; rounding is {allowed:.3g}"
                )
        return None


def momenta(model: nn.Module, optimizer: SGD) -> list[Tensor]:
    """The momentum buffers that a program of this model takes, in its order.

    Raises:
        KeyError: a parameter has not taken its first step yet.
    """
    known = set(model.parameters())
    return [
        optimizer.state[p]["momentum_buffer"]
        for group in optimizer.param_groups
        if group["momentum"] != 0
        for p in group["params"]
        if p in known and p.requires_grad
    ]


@functools.cache
def keep_memory() -> None:
    """Ask glibc to keep freed blocks; else temporaries are mapped and unmapped at each call (+60 %)."""
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL("libc.so.6").mallopt
        except (OSError, AttributeError):  # another C library
            return
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 32 << 20)
        mallopt(m_trim_threshold, 64 << 20)
