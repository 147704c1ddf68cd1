"""A small picture in block characters, as a terminal can show it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["blocks"]

_SHADES = " ░▒▓█"  # which `letters` spells where the encoding lacks them
_WIDEST = 76


def blocks(pixels: npt.NDArray[Any]) -> str:
    """Draw a picture: a character for two pixels, one below the other, since characters are twice as high.

    Args:
        pixels: grey (h, w), or colour (3, h, w) or (1, h, w), uint8.

    Returns:
        Lines, within a frame.

    Example:
        >>> print(blocks(np.array([[0, 255], [0, 255], [255, 128], [255, 128]])))
        +--+
        | █|
        |█▒|
        +--+
    """
    grey = pixels.mean(0) if pixels.ndim == 3 else pixels.astype(float)
    step = -(-grey.shape[1] // _WIDEST)
    grey = _mean(_mean(grey, step, 1), 2 * step, 0)
    lines = ["".join(_SHADES[k] for k in row) for row in (grey * 4 / 255).round().astype(int)]
    edge = f"+{'-' * grey.shape[1]}+"
    return "\n".join([edge, *(f"|{line}|" for line in lines), edge])


def _mean(grey: npt.NDArray[Any], step: int, axis: int) -> npt.NDArray[Any]:
    """The means of `step` rows or columns each; what is left over at the end has its own."""
    begins = np.arange(0, grey.shape[axis], step)
    sums = np.add.reduceat(grey, begins, axis)
    count = np.minimum(step, grey.shape[axis] - begins)
    return np.asarray(sums / (count[:, None] if axis == 0 else count))
