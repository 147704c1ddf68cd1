"""What is advised where a loss is NaN or inf."""

from __future__ import annotations

import math

import pytest

from surefoot.train.steps.notfinite import NotFinite


@pytest.mark.parametrize(("value", "told"), [(math.nan, True), (math.inf, False), (-math.inf, False)])
def test_only_a_mean_over_nothing_is_nan(value: float, told: bool) -> None:
    found = NotFinite("loss", value, 7, 2, 7)
    said = "; or, with accumulate=4, a part of that batch may have nothing to average"
    assert found.advice(0.1, (), parts=4).endswith(said) is told
    assert "accumulate" not in found.advice(0.1, (), parts=1)
    assert ("accumulate" in found.advice(0.1, (), parts=4)) is told
