"""The map of rates: its border is where the rate is 1, its star at the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from surefoot.errors import InputError
from surefoot.plot.rates import rates


def descent(lr: Any, momentum: Any) -> Any:
    """Plain gradient descent on curvatures 1 and 4, whatever the momentum."""
    return np.maximum(abs(1 - lr), abs(1 - 4 * lr)) + 0 * momentum


def test_border_and_optimum() -> None:
    figure = rates(descent, largest_lr=1, best=(0.4, 0), points={"here": (0.25, 0.5)}, title="descent")
    panel = figure.axes[0]
    border = panel.collections[-1].get_paths()[0].vertices  # drawn last: rate 1, at lr = 2/4
    edge = border[(border[:, 1] > 0.01) & (border[:, 0] > 0.1)]
    assert edge[:, 0] == pytest.approx(np.full(len(edge), 0.5))
    stars = [line for line in panel.get_lines() if line.get_marker() == "*"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in stars] == [(0.4, 0)]
    said = [text.get_text() for text in panel.texts]
    assert said == ["unstable", "here", "best: rate 0.6\nlr 0.4, μ 0"]
    assert panel.get_title() == "descent"


def test_a_map_that_is_stable_throughout_says_nothing_of_instability() -> None:
    assert not rates(descent, largest_lr=0.4).axes[0].texts


def test_bad_input() -> None:
    with pytest.raises(InputError, match="largest_lr is 0; it must be above 0"):
        rates(descent, largest_lr=0)


def test_a_rate_of_nothing_is_0_not_what_rounding_leaves() -> None:
    figure = rates(lambda lr, mu: abs(1 - 2 * lr) + 0 * mu + 2.2e-16, largest_lr=2, best=(0.5, 0))
    assert any("best: rate 0\n" in text.get_text() for text in figure.axes[0].texts)
