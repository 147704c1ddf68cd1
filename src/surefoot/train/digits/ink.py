"""The ink on a picture: what stands out of its background, without frames and specks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from surefoot.train.digits.background import SOLID, differences
from surefoot.train.digits.pieces import Piece, fills, pieces

__all__ = ["Ink", "find"]

Grid = npt.NDArray[Any]

_SPECK = 0.03  # of the heaviest piece's weight
_DOT = 12  # pixels: less is a speck on any picture


@dataclass(frozen=True, eq=False)
class Ink:
    """What is written on a picture.

    Args:
        strength: by how many grey levels each pixel differs from its background, towards the ink's side; 0
            outside the ink's pieces and their edges.
        contrast: of the ink itself, in grey levels.
        pieces: the heaviest first; no frame, no specks.
        labels: the piece of each pixel, 0 for none.
        reaches: whether it is joined to what reaches the picture's border, such as a shadow.
    """

    strength: Grid
    contrast: float
    pieces: list[Piece]
    labels: Grid
    reaches: bool


def find(grey: Grid) -> Ink | None:
    """Find the ink, dark on light or light on dark; None where nothing stands out.

    Args:
        grey: (h, w), 0 … 255, smoothed so far that its noise is no longer one of single pixels.
    """
    ink = _found(grey, cut=True)
    if ink is None:
        return None
    top, left, bottom, right = ink.pieces[0].box
    inside = grey[top:bottom, left:right]
    if fills(ink.labels, ink.pieces[0]) < SOLID or min(inside.shape) <= 20:
        return ink
    written = _found(inside, cut=False)  # a sheet on a table is no ink, what is written on it is
    if written is None or written.reaches:  # a thick 0 fills its box, too
        return ink
    strength, labels = np.zeros_like(ink.strength), np.zeros_like(ink.labels)
    strength[top:bottom, left:right], labels[top:bottom, left:right] = written.strength, written.labels
    moved = [piece.moved(top, left) for piece in written.pieces]
    return replace(written, strength=strength, labels=labels, pieces=moved)


def _found(grey: Grid, *, cut: bool) -> Ink | None:
    found, low = differences(grey)
    sides = [ink for side in (-found, found) if (ink := _written(side, low, cut)) is not None]
    return max(sides, key=lambda ink: sum(piece.weight for piece in ink.pieces), default=None)


def _written(side: Grid, low: float, cut: bool) -> Ink | None:
    """The ink that stands out to one side.

    Args:
        side: by how much each pixel stands out to that side.
        low: from how much on that is no noise.
        cut: whether a piece that touches the border may be ink, where there is no other.
    """
    kept: list[Piece] = []
    highest = float(side.max())
    for share in (0, 0.25, 0.5):  # at a higher level a digit comes apart from a shade that it touches
        if kept := _free(found := pieces(side > max(low, share * highest), side)):
            break
    reaches = share == 0.5
    if not kept and cut:
        found = pieces(side > low, side)
        # what lies along a side is ink only where there is nothing else
        kept = _without_specks([p for p in found.pieces if p.border < 0.5] or found.pieces)
    if not kept:
        return None
    inside = np.isin(found.labels, [piece.label for piece in kept])
    contrast = float(np.percentile(side[inside], 90))
    found = pieces(inside & (side > max(low, 0.35 * contrast)), side)
    kept = _without_specks(found.pieces)
    if not kept:
        return None
    near = _wider(np.isin(found.labels, [piece.label for piece in kept]))
    return Ink(np.where(near, side.clip(0), 0), contrast, kept, found.labels, reaches)


def _free(found: Any) -> list[Piece]:
    """The pieces that do not touch the border, unless one that does is more than a frame or a speck."""
    free = _without_specks([piece for piece in found.pieces if not piece.border])
    most = max((piece.weight for piece in found.pieces if 0 < piece.border < 0.5), default=0.0)
    return free if free and free[0].weight > 0.2 * most else []


def _without_specks(some: list[Piece]) -> list[Piece]:
    some = sorted(some, key=lambda piece: -piece.weight)
    return [piece for piece in some if piece.weight >= _SPECK * some[0].weight and piece.area >= _DOT]


def _wider(mask: Grid) -> Grid:
    """The mask and what is at most two pixels beside it, where the ink's edges end."""
    h, w = mask.shape
    padded = np.pad(mask, 2)
    across = np.any([padded[:, i : i + w] for i in range(5)], axis=0)
    wide: Grid = np.any([across[i : i + h] for i in range(5)], axis=0)
    return wide
