"""Run a compiled program in the place of K eager steps, on the model's and the optimizer's own tensors."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

from torch import Tensor, nn

from surefoot.optim import SGD
from surefoot.train.compiled.package import Package
from surefoot.train.compiled.verify import difference

__all__ = ["CompiledSteps"]


class CompiledSteps:
    """K training steps by one call of a native program.

    Args:
        model: the model, in training mode.
        optimizer: its SGD; parameters with momentum have their buffers already, so the first step is eager.
        package: the program, and what it takes.

    Raises:
        KeyError: a parameter has no momentum buffer yet.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: SGD,
        package: Package,
    ) -> None:
        keep_memory()
        self._run, self._draw = package.run, [n.drawer() for n in package.noise]
        params = dict(model.named_parameters())
        momenta = [optimizer.state[params[name]]["momentum_buffer"] for name in package.momenta]
        self._state = [t.detach() for t in [*params.values(), *model.buffers(), *momenta]]

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
        """Take K steps with the program and K with `eager`; say where they part, or None."""
        return difference(self._state, lambda: self(x, y, hyper), eager)


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
