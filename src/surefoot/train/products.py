"""How Intel's MKL divides a product of matrices among threads: as it finds best, or each makes whole rows.

Of itself it may divide rows. Where these are no multiple of a cache line, as 784 numbers in two halves, each
line in the middle is written by two threads, which wait for each other: the gradient of the first layer's
weight then takes as long by two threads as by one, or twice as long where their cores share no cache.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["AS_IT_FINDS", "WHOLE_ROWS", "divider"]

AS_IT_FINDS, WHOLE_ROWS = 0, 1  # the number of parts that a row is divided into, 0 for any

_NAMES = ("MKL_Set_Num_Stripes", "mkl_serv_set_num_stripes")  # in a library of its own, and inside torch's


@functools.cache
def divider() -> Callable[[int], object] | None:
    """The function that sets it, for the whole process; None where torch has none, or the user has set it.

    MKL counts the columns of the transposed product, as Fortran has it: its one stripe is whole rows here.
    """
    if os.environ.get("MKL_NUM_STRIPES") or torch.__file__ is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    except OSError:  # another system's name, or a torch built otherwise
        return None
    return next((getattr(library, name) for name in _NAMES if hasattr(library, name)), None)
