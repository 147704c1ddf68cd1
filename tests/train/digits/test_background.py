from __future__ import annotations

import numpy as np
import pytest

from surefoot.train.digits.background import differences

Y, X = np.mgrid[-1:1:200j, -1:1:300j]
PAPER = 150 + 40 * X - 20 * Y + 15 * X * Y - 25 * X**2


@pytest.mark.parametrize("sign", [1, -1])
def test_uneven_paper_is_told_from_what_is_written(sign: int) -> None:
    ink = np.zeros_like(PAPER)
    ink[60:120, 100:160] = 60 * sign
    noise = np.random.default_rng(0).normal(0, 2, PAPER.shape)
    found, low = differences((PAPER + ink + noise).clip(0, 255))
    assert np.abs(found - ink - noise).max() < 3
    assert 8 < low < 15


def test_a_frame_is_not_the_background() -> None:
    grey = np.full((100, 100), 10.0)
    grey[10:90, 10:90] = 200
    found, _ = differences(grey)
    assert np.abs(found[10:90, 10:90]).max() < 1


def test_nor_is_a_digit_that_covers_most_of_the_picture() -> None:
    grey = np.full((100, 60), 30.0)
    grey[:, :6] = grey[:, -6:] = grey[:6] = grey[-6:] = 220
    grey[10:90, 25:35] = 220
    found, _ = differences(np.where(np.hypot(*np.mgrid[-1:1:100j, -1:1:60j]) > 0.95, 220, grey))
    assert np.abs(found[0]).max() < 1
