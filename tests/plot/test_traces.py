"""Traces drawn: the numbers on the lines are those of the trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from surefoot.errors import InputError
from surefoot.plot.traces import traces
from surefoot.trace import Script, Trace, replay

GRADIENTS = [{"w": [1, 5], "v": 1}, {"w": [0, 5]}, {"w": [2, 5], "v": 1}]


def trace(rule: str = "torch", **options: Any) -> Trace:
    return replay(Script.of({"w": [1, 2], "v": 0}, gradients=GRADIENTS, lr=0.5, **options), rule)


def drawn(figure: Any, panel: int, line: int = 0) -> list[float]:
    return list(figure.axes[panel].get_lines()[line + 1].get_ydata())  # line 0 is the axis at 0


def test_gradient_buffer_and_step() -> None:
    figure = traces({"torch": trace(momentum=0.5)})
    assert [panel.get_ylabel() for panel in figure.axes] == ["gradient", "momentum buffer", "step Δw"]
    assert figure.axes[0].get_title(loc="left") == "parameter w[0]"
    assert drawn(figure, 0) == [1, 0, 2]
    assert drawn(figure, 1) == [1, 0.5, 2.25]
    assert drawn(figure, 2) == [-0.5, -0.25, -1.125]


def test_the_heavy_balls_panel_says_of_what_it_is() -> None:
    assert traces({"heavy_ball": trace("heavy_ball")}, "v").axes[1].get_ylabel() == "previous v"


def test_another_parameter_without_a_gradient_at_one_step() -> None:
    figure = traces({"torch": trace(momentum=0.5)}, "v")
    assert figure.axes[0].get_title(loc="left") == "parameter v"
    np.testing.assert_equal(drawn(figure, 0), [1, math.nan, 1])
    assert drawn(figure, 2) == [-0.5, 0, -0.75]


def test_several_rules_with_and_without_a_buffer() -> None:
    figure = traces({"plain": trace(), "keras": trace("keras", momentum=0.5)}, element=1)
    assert [panel.get_ylabel() for panel in figure.axes] == ["gradient", "velocity", "step Δw"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["plain", "keras"]
    assert all(math.isnan(x) for x in drawn(figure, 1, 0))
    assert drawn(figure, 1, 1) == [-2.5, -3.75, -4.375]
    assert len(traces({"plain": trace()}).axes) == 2


def test_one_of_two_slots() -> None:
    figure = traces({"adam": replay(trace().script, "adam", float)}, slot="exp_avg_sq")
    assert figure.axes[1].get_ylabel() == "exp avg sq"


BAD: list[tuple[Any, str]] = [
    (lambda: traces({}), "There is no trace to plot; give at least one."),
    (lambda: traces({"a": trace()}, "x"), "Unknown parameter 'x'; known: v, w."),
    (lambda: traces({"a": trace()}, element=2), "element is 2, but 'w' has the elements 0 to 1."),
    (
        lambda: traces({"a": trace(momentum=0.5)}, slot="velocity"),
        "Unknown slot 'velocity'; known: momentum_buffer.",
    ),
    (
        lambda: traces({"a": replay(Script.of({"w": 1}, gradients=[], lr=1), "torch")}),
        "The trace 'torch' has no steps to plot.",
    ),
]


@pytest.mark.parametrize(("draw", "sentence"), BAD)
def test_bad_input(draw: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        draw()
    assert str(caught.value) == sentence
