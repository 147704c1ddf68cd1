"""Paths over contours: the points are the trace's, and one that runs away does not spoil the picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from surefoot.errors import InputError
from surefoot.plot.paths import paths
from surefoot.plot.traces import traces
from surefoot.trace import Script, Trace, replay


class Bowl:
    """f = (x² + 20y²)/2, with what Script and `paths` need of a function."""

    names = ("x", "y")

    def value(self, point: Mapping[str, Any], number: Any = None) -> Any:
        return (point["x"] ** 2 + 20 * point["y"] ** 2) / 2

    def gradient(self, point: Mapping[str, Any], number: Any = None) -> Mapping[str, Any]:
        return {"x": point["x"], "y": 20 * point["y"]}

    def on_grid(self, point: Mapping[str, Any]) -> Any:
        return self.value(point)


def walk(steps: int = 30, **options: Any) -> Trace:
    return replay(Script.of({"x": -4, "y": 1}, function=Bowl(), steps=steps, **options), "torch", float)


def test_the_path_goes_through_the_traces_points() -> None:
    trace = walk(lr=0.05, momentum=0.5)
    figure = paths({"momentum": trace})
    (panel,) = figure.axes
    line = panel.get_lines()[0]
    assert list(line.get_xdata()) == [-4.0, *(m.w["x"] for m in trace.steps)]
    assert list(line.get_ydata()) == [1.0, *(m.w["y"] for m in trace.steps)]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("x", "y")
    assert len(panel.collections) == 2  # shades and contours
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["momentum", "last step"]


def test_a_path_that_diverges_is_cut_where_it_leaves() -> None:
    figure = paths({"good": walk(lr=0.05), "bad": walk(lr=0.2)})
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names == ["good", "bad (leaves at step 1)", "last step"]
    low, high = figure.axes[0].get_ylim()
    assert -3 < low < high < 3


def test_a_path_that_gathers_momentum_is_drawn_to_its_end() -> None:
    figure = paths({"momentum": walk(lr=0.001, momentum=0.9), "none": walk(lr=0.001)})
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["momentum", "none", "last step"]


def test_paths_that_all_diverge_still_make_a_picture() -> None:
    figure = paths({"bad": walk(lr=0.2, steps=300), "worse": walk(lr=100, steps=200)})
    figure.savefig(io.BytesIO(), format="png")
    assert np.isfinite([*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()]).all()


def test_exact_numbers_beyond_all_floats() -> None:
    gradients = [{"x": 0, "y": (-100) ** t} for t in range(1, 200)]
    trace = replay(Script.of({"x": 0, "y": 1}, gradients=gradients, lr=1), "torch")
    figure = paths({"exact": trace, "momentum": trace})
    assert "exact (leaves at step" in figure.legends[0].get_texts()[0].get_text()
    figure.savefig(io.BytesIO(), format="png")
    traces({"exact": trace}, "y").savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("x", [10**16 + 1, -(3 * 10**17), 10**99])
def test_far_out_where_floats_are_further_apart_than_the_steps(x: int) -> None:
    script = Script.of({"x": x, "y": 1}, gradients=[{"x": 1, "y": 0}] * 2, lr=1)
    figure = paths({"torch": replay(script, "torch")})
    figure.savefig(io.BytesIO(), format="png")
    left, right = figure.axes[0].get_xlim()
    assert left < x < right


def test_a_start_beyond_all_pictures_is_told() -> None:
    script = Script.of({"x": -(10**101), "y": 1}, gradients=[{"x": 1, "y": 0}], lr=1)
    with pytest.raises(InputError) as caught:
        paths({"torch": replay(script, "torch")})
    assert str(caught.value) == "The path of 'torch' starts beyond 10^100, too far to plot."


def test_a_vector_of_two_and_no_function() -> None:
    script = Script.of({"w": [0, 0]}, gradients=[{"w": [1, 0]}] * 3, lr=1)
    (panel,) = paths({"torch": replay(script, "torch")}).axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("w[0]", "w[1]")
    assert not panel.collections
    low, high = panel.get_ylim()
    assert low < 0 < high


def test_steps_that_lie_on_each_other_get_one_marker_and_each_a_dot() -> None:
    line, dots = paths({"slow": walk(lr=0.001, steps=300)}).axes[0].get_lines()[:2]
    assert len(line.get_markevery()) < 60
    assert len(line.get_markevery()) + len(dots.get_xdata()) == 301


@pytest.mark.parametrize(
    ("y", "aspect"), [(1, 1.0), (30, 1.0), (0, 1.0), (0.5, "auto"), (0.01, "auto"), (100, "auto")]
)
def test_both_axes_have_one_scale_unless_a_path_is_a_needle(y: float, aspect: Any) -> None:
    script = Script.of({"x": 0, "y": 0}, gradients=[{"x": 6, "y": y}] * 2, lr=1)
    figure = paths({"torch": replay(script, "torch")})
    assert figure.axes[0].get_aspect() == aspect
    figure.draw_without_rendering()
    width, height = figure.axes[0].get_window_extent().size / figure.dpi
    assert width > 1
    assert height > 1


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        ({"w": [1, 2, 3]}, "A path is drawn of two numbers, but there are 3: w[0], w[1], w[2]."),
        ({"w": 1}, "A path is drawn of two numbers, but there is 1: w."),
    ],
)
def test_only_two_numbers_make_a_path(start: dict[str, Any], sentence: str) -> None:
    script = Script.of(start, gradients=[start], lr=1)
    with pytest.raises(InputError) as caught:
        paths({"torch": replay(script, "torch")})
    assert str(caught.value) == sentence
    with pytest.raises(InputError, match="There is no trace to plot"):
        paths({})
