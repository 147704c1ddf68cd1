"""Slopes that are infinite, beyond floats, or 0 in some elements alone are told for what they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from surefoot.check.gradients import check_gradients
from surefoot.check.gradients.slope import measure


class Of(nn.Module):
    """A function of one parameter."""

    def __init__(self, function, start):
        super().__init__()
        self.w, self.function = nn.Parameter(torch.tensor(start, dtype=torch.float64)), function

    def forward(self, _):
        return self.function(self.w).sum()


def said_of(function, start):
    report = check_gradients(Of(function, start), lambda out: out, torch.zeros(1))
    return report.verdict, " ".join(str(report).split())


@pytest.mark.parametrize("autograd", [math.inf, math.nan, 0.0, 42.0])
@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (lambda t: math.copysign(abs(t) ** (1 / 3), t), math.inf),
        (lambda t: math.copysign(abs(t) ** 0.9, -t), -math.inf),
        (lambda t: t * math.log(abs(t)) if t else 0.0, -math.inf),
        (lambda t: 5 - t * math.log(abs(t)) if t else 5.0, math.inf),
    ],
)
def test_an_infinite_slope_is_told_whatever_autograd_says(loss, slope, autograd):
    found = measure(loss, autograd)
    assert (found.verdict, found.numeric, found.left, found.right) == ("unclear", slope, slope, slope)


@pytest.mark.parametrize(
    "loss",
    [
        lambda t: math.copysign(abs(t) ** 1.5, t) + t,
        lambda t: math.exp(3 * t),
        lambda t: math.sin(1000 * t) + 1e6,
        lambda t: (1 + t) ** 3 + max(t, 0.0) ** 2,
    ],
)
def test_a_finite_slope_is_not_taken_for_an_infinite_one(loss):
    assert not measure(loss, -7.0).steep


def test_a_slope_that_is_infinite_on_one_side_has_no_error_bar():
    verdict, said = said_of(lambda w: torch.where(w > 0, w.sqrt(), w), [0.0, 1.0])
    assert verdict == "wrong"
    assert "the slope of the loss is 1 on the left, inf (it grows as steps shrink) on the right." in said
    assert "±" not in said


@pytest.mark.parametrize(
    ("function", "start", "largest"),
    [
        (lambda w: w.relu() ** 2, [0.0, 1.0], "2"),
        (lambda w: torch.logsumexp(w, 0), [50.0, -50.0, 0.0], "1"),
    ],
)
def test_both_are_0_is_not_said_where_some_are_not(function, start, largest):
    verdict, said = said_of(function, start)
    assert verdict == "right"
    assert "both are 0" not in said
    assert f"the largest slope is {largest}." in said


@pytest.mark.parametrize("start", [[600.0, 0.0], [680.0, 0.0], [700.0]])
def test_large_slopes_of_smooth_losses_are_measured(start):
    assert said_of(torch.exp, start)[0] == "right"


def test_a_slope_beyond_what_floats_measure_is_not_called_steep():
    verdict, said = said_of(lambda w: 1.2e308 * w, [1.0])
    assert verdict == "unclear"
    assert "the loss is so large that its slope cannot be measured in float64." in said


@pytest.mark.parametrize("function", [lambda w: w.relu() ** 2, lambda w: w * w.abs()])
def test_a_slope_that_falls_to_0_with_the_steps_is_0(function):
    verdict, said = said_of(function, [0.0, 0.0])
    assert verdict == "right"
    assert "right: both are 0" in said


def test_but_a_wrong_backward_there_is_found_a_step_aside():
    assert said_of(lambda w: w.relu() ** 2 + (w.relu() ** 2).detach(), [0.0] * 6)[0] == "wrong"


def test_a_kink_next_to_the_point_is_not_said_to_be_there():
    verdict, said = said_of(torch.relu, [1e-9, 1.0])
    assert verdict == "right"
    assert "at element [0] or next to it" in said
    assert "over a step of" in said
