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
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

__all__ = ["AS_IT_FINDS", "WHOLE_ROWS", "Divider", "backward_by_rows", "divider", "run"]

AS_IT_FINDS, WHOLE_ROWS = 0, 1  # the number of parts that a row is divided into, 0 for any

_FUNCTIONS = (  # in a library of its own, and inside torch's
    ("MKL_Get_Num_Stripes", "MKL_Set_Num_Stripes"),
    ("mkl_serv_get_num_stripes", "mkl_serv_set_num_stripes"),
)


class Divider(NamedTuple):
    """MKL's own functions for the number of parts, which is the whole process's.

    It counts the columns of the transposed product, as Fortran has it: its one stripe is whole rows here.
    """

    get: Callable[[], int]
    set: Callable[[int], object]


@functools.cache
def _found() -> Divider | None:
    if torch.__file__ is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    except OSError:  # another system's name, or a torch built otherwise
        return None
    for names in _FUNCTIONS:
        if all(hasattr(library, name) for name in names):
            return Divider(*(getattr(library, name) for name in names))
    return None


def divider() -> Divider | None:
    """What tells MKL how to divide; None where torch has no MKL, or the user has told it already."""
    found = _found()
    return found if found is not None and found.get() <= AS_IT_FINDS else None


_in_backward: Divider | None = None  # while whole rows are wanted


def backward_by_rows(wanted: bool) -> None:
    """From now on threads make whole rows of products in a backward pass, or what MKL finds best."""
    global _in_backward
    _in_backward = divider() if wanted else None


def run(backward: Callable[[], object]) -> None:
    """Take a backward pass, with its products made as is wanted."""
    if _in_backward is None:
        backward()
        return
    divide = _in_backward.set
    divide(WHOLE_ROWS)
    try:
        backward()
    finally:
        divide(AS_IT_FINDS)
