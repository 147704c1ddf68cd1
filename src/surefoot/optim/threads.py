"""How many threads an operation is shared out to, set for this thread of Python alone."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["set_threads"]


def set_threads(count: int) -> None:
    """Set how many threads of OpenMP serve the operations that are called from this thread of Python alone.

    torch.set_num_threads also changes the number for the whole process, which a thread that is started during
    a step would take over, and keep for life.
    """
    _setter()(count)


@functools.cache
def _setter() -> Callable[[int], None]:
    """OpenMP's own call, of the OpenMP that torch is linked to; torch's where that cannot be found."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            call: Callable[[int], None] = ctypes.PyDLL(
                str(Path(torch.__file__).parent / "lib" / name)
            ).omp_set_num_threads
        except (OSError, AttributeError):
            continue
        before = torch.get_num_threads()
        call(before + 1)
        heard = torch.get_num_threads() == before + 1
        call(before)
        if heard:
            return call
    return torch.set_num_threads
