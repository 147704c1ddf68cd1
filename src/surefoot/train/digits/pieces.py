"""The pieces of a mask: pixels that are joined, diagonally too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Piece", "Pieces", "fills", "pieces"]

Grid = npt.NDArray[Any]


@dataclass(frozen=True)
class Piece:
    """One of them.

    Args:
        label: its number in the labels.
        box: top, left, bottom, right; the last two are the first row and column after it.
        area: how many pixels.
        weight: the sum of their strengths.
        border: the largest share of a side of the picture that they cover; 0 where they touch none.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int
    weight: float
    border: float

    @property
    def size(self) -> int:
        """The longer side of the box."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def moved(self, down: int, right: int) -> Piece:
        """The same in a larger picture."""
        y, x, y_end, x_end = self.box
        return replace(self, box=(y + down, x + right, y_end + down, x_end + right))


class Pieces(NamedTuple):
    """All of them: the piece of each pixel, 0 for none, and the pieces, the one with most pixels first."""

    labels: Grid
    pieces: list[Piece]


def pieces(mask: Grid, strength: Grid) -> Pieces:
    """Find the pieces of a mask: runs along rows, joined where those of the next row touch them.

    Args:
        mask: (h, w).
        strength: what to sum over each piece, (h, w).
    """
    h, w = mask.shape
    change = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, begin = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    number = _joined(h, row, begin, end)
    labels = np.zeros((h, w), int)
    labels[mask] = np.repeat(number, end - begin)
    count = int(number.max(initial=0)) + 1
    area = np.bincount(labels.ravel(), minlength=count)
    weight = np.bincount(labels.ravel(), strength.ravel(), minlength=count)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    border = np.max([np.bincount(side, minlength=count) / len(side) for side in sides], axis=0)
    box = np.array([[h, w, 0, 0]]).repeat(count, 0)
    np.minimum.at(box[:, 0], number, row)
    np.minimum.at(box[:, 1], number, begin)
    np.maximum.at(box[:, 2], number, row + 1)
    np.maximum.at(box[:, 3], number, end)
    found = [
        Piece(k, tuple(box[k].tolist()), int(area[k]), float(weight[k]), float(border[k]))
        for k in range(1, count)
    ]
    return Pieces(labels, sorted(found, key=lambda piece: -piece.area))


def _joined(h: int, row: Grid, begin: Grid, end: Grid) -> Grid:
    """The number of the piece of each run, from 1: union-find over runs of neighbouring rows."""
    above = [*range(len(row))]

    def root(i: int) -> int:
        while above[i] != i:
            above[i] = above[above[i]]
            i = above[i]
        return i

    starts = np.searchsorted(row, np.arange(h + 1)).tolist()
    begins, ends = begin.tolist(), end.tolist()
    for y in range(1, h):
        i, j = starts[y - 1], starts[y]
        while i < starts[y] and j < starts[y + 1]:
            if begins[i] <= ends[j] and begins[j] <= ends[i]:
                a, b = root(i), root(j)
                above[max(a, b)] = min(a, b)
            if ends[i] < ends[j]:
                i += 1
            else:
                j += 1
    roots = np.array([root(i) for i in range(len(row))], int)
    number: Grid = np.unique(roots, return_inverse=True)[1].reshape(-1) + 1
    return number


def fills(labels: Grid, piece: Piece) -> float:
    """How much of its box a piece fills, with what lies within it along rows."""
    top, left, bottom, right = piece.box
    mine = labels[top:bottom, left:right] == piece.label
    first, last = mine.argmax(1), mine.shape[1] - mine[:, ::-1].argmax(1)
    return float((last - first)[mine.any(1)].sum() / mine.size)
