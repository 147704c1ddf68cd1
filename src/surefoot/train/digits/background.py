"""A picture's background, which may be uneven, and what differs from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from surefoot.train.digits.pieces import fills, pieces

__all__ = ["SOLID", "differences"]

Grid = npt.NDArray[Any]

SOLID = 0.75  # a sheet fills its bounding box at least so far; a digit does not
_LEAST = 10.0  # grey levels: less is what JPEG and a sensor leave on blank paper


def differences(grey: Grid) -> tuple[Grid, float]:
    """By how much each pixel differs from its background, and from how much on that is no noise."""
    found = grey - _surface(grey, _commonest(grey))
    low = _noise(found)
    if np.mean(np.abs(_border(found)) > low) > 0.5:
        # most of the border is something else: a frame about a sheet, or the paper about a thick digit
        labels, parts = pieces(np.abs(found) <= low, np.ones_like(grey))
        if not parts or fills(labels, parts[0]) < SOLID:
            found = grey - _surface(grey, float(np.median(_border(grey))))
            low = _noise(found)
    return found, low


def _border(grid: Grid) -> Grid:
    return np.concatenate([grid[0], grid[-1], grid[:, 0], grid[:, -1]])


def _commonest(grey: Grid) -> float:
    """The grey level about which most pixels lie, rather than the median, which may lie between two."""
    count = np.bincount(grey.round().astype(int).ravel(), minlength=256)
    return float(np.convolve(count, np.ones(25), "same").argmax())


def _noise(found: Grid) -> float:
    return max(_LEAST, 5 * _deviation(found))


def _deviation(found: Grid) -> float:
    """The deviation of the background's noise, by the quartile: half the picture may be ink."""
    return float(np.percentile(np.abs(found), 25)) / 0.3186


def _surface(grey: Grid, start: float) -> Grid:
    """The background as a parabola in x and y, fitted to the pixels that lie near it (Tukey's biweight)."""
    h, w = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    step = max(1, max(h, w) // 64)
    some, values = terms[:, ::step, ::step].reshape(6, -1), grey[::step, ::step].ravel()
    between = float(np.ptp(np.percentile(values, (1, 99))))
    found = np.zeros(6)
    found[0] = start
    for count in (1, 1, 3, 3, 3, 6, 6, 6, 6):  # level, then sloped, then curved
        off = values - found @ some
        reach = max(1.5 * _LEAST, min(4.7 * _deviation(off), (0.4 if count < 6 else 0.25) * between))
        weights = np.clip(1 - (off / reach) ** 2, 0, None)
        if (weights > 0).sum() < 20:
            break
        used = some[:count] * weights
        found = np.zeros(6)
        found[:count] = np.linalg.lstsq(used @ used.T, used @ (values * weights), rcond=None)[0]
    surface: Grid = np.tensordot(found, terms, 1)
    return surface
