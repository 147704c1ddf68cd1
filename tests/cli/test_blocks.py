from __future__ import annotations

import numpy as np
import pytest

from surefoot.cli import letters
from surefoot.cli.blocks import blocks


@pytest.mark.parametrize(
    ("shape", "lines", "width"), [((28, 28), 14, 28), ((3, 9, 5), 5, 5), ((4, 200), 1, 67)]
)
def test_two_rows_are_a_line(shape: tuple[int, ...], lines: int, width: int) -> None:
    edge, *inside, last = blocks(np.full(shape, 255, np.uint8)).splitlines()
    assert edge == last == f"+{'-' * width}+"
    assert inside == [f"|{'█' * width}|"] * lines


def test_shades_have_signs_in_ascii() -> None:
    letters.register()
    drawn = blocks(np.array([[0, 64, 128, 192, 255]] * 2, np.uint8)).splitlines()[1]
    assert drawn == "| ░▒▓█|"
    assert drawn.encode("ascii", letters.SPELLED) == b"| .+*#|"
