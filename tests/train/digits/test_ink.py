from __future__ import annotations

import numpy as np
import pytest

from surefoot.train.digits.ink import find


def bar(paper: float, ink: float) -> np.ndarray:
    grey = np.full((120, 160), paper)
    grey[30:90, 70:85] = ink
    return grey


@pytest.mark.parametrize(("paper", "ink"), [(200, 60), (20, 230)])
def test_ink_is_found_dark_and_light(paper: float, ink: float) -> None:
    found = find(bar(paper, ink))
    assert found is not None
    assert [piece.box for piece in found.pieces] == [(30, 70, 90, 85)]
    assert found.contrast == pytest.approx(abs(paper - ink))
    assert not found.reaches


def test_specks_and_what_lies_along_the_border_are_no_ink() -> None:
    grey = bar(200, 60)
    grey[10:13, 20:23] = 0
    grey[:, :12] = 0
    found = find(grey)
    assert found is not None
    assert [piece.box for piece in found.pieces] == [(30, 70, 90, 85)]
    assert not found.strength[:, :40].any()


def test_ink_at_the_border_is_ink_where_there_is_no_other() -> None:
    grey = np.full((120, 160), 200.0)
    grey[30:, 70:85] = 60
    found = find(grey)
    assert found is not None
    assert [piece.box for piece in found.pieces] == [(30, 70, 120, 85)]
    assert found.reaches


def test_a_sheet_on_a_table_is_no_ink_but_what_is_written_on_it() -> None:
    grey = np.full((300, 400), 60.0)
    grey[80:200, 100:260] = bar(210, 90)
    found = find(grey)
    assert found is not None
    assert [piece.box for piece in found.pieces] == [(110, 170, 170, 185)]


def test_paper_without_ink() -> None:
    assert find(np.full((50, 50), 128.0)) is None
