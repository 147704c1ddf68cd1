from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from surefoot.train.digits.pieces import fills, pieces

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans())


@given(masks)
def test_pieces_are_what_a_flood_reaches(mask: np.ndarray) -> None:
    strength = np.arange(mask.size, dtype=float).reshape(mask.shape)
    labels, found = pieces(mask, strength)
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    for piece in found:
        start = min((y, x) for y, x in left if labels[y, x] == piece.label)
        reached, edge = {start}, [start]
        while edge:
            y, x = edge.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left - reached
            reached |= near
            edge += near
        assert {(int(y), int(x)) for y, x in np.argwhere(labels == piece.label)} == reached
        rows, columns = zip(*reached, strict=True)
        assert piece.box == (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
        assert piece.area == len(reached)
        assert piece.weight == sum(strength[place] for place in reached)
        left -= reached
    assert not left


def test_how_much_of_a_side_a_piece_covers() -> None:
    mask = np.zeros((4, 8), bool)
    mask[0, :6] = mask[2, 4] = True
    assert [piece.border for piece in pieces(mask, mask).pieces] == [0.75, 0]


@pytest.mark.parametrize(("hole", "share"), [(slice(1, 3), 1.0), (slice(1, 4), 10 / 16)])
def test_a_sheet_fills_its_box_with_what_lies_within_it(hole: slice, share: float) -> None:
    mask = np.ones((4, 4), bool)
    mask[1:3, hole] = False
    labels, found = pieces(mask, mask)
    assert fills(labels, found[0]) == share
