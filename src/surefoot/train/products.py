"""How Intel's MKL divides a product of matrices among threads: as it finds best, or each makes whole rows.

Where rows are more than twice as long as they are many, as in the gradient of a first layer's weight, with
256 × 784 numbers, it gives each thread a part of every row: two threads then take as long as one, and more
than twice as long where their cores share no cache. Told to make whole rows, they take little more than half
as long. But forward each would read the whole weight for its rows of the output: there MKL does as it finds
best.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["AS_IT_FINDS", "WHOLE_ROWS", "backward_by_rows", "divider", "run"]

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


_in_backward: Callable[[int], object] | None = None  # the same, while whole rows are wanted


def backward_by_rows(wanted: bool) -> None:
    """From now on threads make whole rows of products in a backward pass, or what MKL finds best."""
    global _in_backward
    _in_backward = divider() if wanted else None


def run(backward: Callable[[], object]) -> None:
    """Take a backward pass, with its products made as is wanted."""
    if _in_backward is None:
        backward()
        return
    divide = _in_backward
    divide(WHOLE_ROWS)
    try:
        backward()
    finally:
        divide(AS_IT_FINDS)
