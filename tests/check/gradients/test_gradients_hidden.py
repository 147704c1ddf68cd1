"""Slopes that noise, a kink, a minimum or an undefined side hides are neither passed nor blamed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from surefoot.check.gradients import check_gradients
from surefoot.check.gradients.noise import noise_of
from surefoot.check.gradients.pair import UNIT
from surefoot.check.gradients.slope import measure


class Of(nn.Module):
    """A function of one parameter."""

    def __init__(self, function, start):
        super().__init__()
        self.w, self.function = nn.Parameter(torch.tensor(start)), function

    def forward(self, _):
        return self.function(self.w).sum()


def report_of(function, start):
    return check_gradients(Of(function, start), lambda out: out, torch.zeros(1))


def scaled(scale, factor):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * scale

        @staticmethod
        def backward(ctx, grad):
            return grad * scale * factor

    return Scale.apply


class Small(nn.Module):
    def __init__(self, scale, factor):
        super().__init__()
        self.linear, self.scaled = nn.Linear(3, 2), scaled(scale, factor)

    def forward(self, x):
        return self.scaled(self.linear(x))


SCALES = [(scale, factor) for scale in (1e-11, 1e-12, 1e-13, 1e-14) for factor in (0.0, 0.5, 0.9, 2.0)]
SOME = [(1e-11, 2.0), (1e-12, 0.0), (1e-12, 0.5), (1e-12, 2.0), (1e-13, 0.9), (1e-14, 0.5)]


@pytest.mark.parametrize(
    ("scale", "factor"),
    [pytest.param(*case, marks=() if case in SOME else pytest.mark.slow) for case in SCALES],
)
def test_a_wrong_backward_of_slopes_below_the_noise_is_not_right(scale, factor):
    torch.manual_seed(0)
    batch = torch.randn(8, 3), torch.randn(8, 2)
    report = check_gradients(Small(scale, factor), mse_loss, batch)
    assert {p.verdict for p in report.parameters} <= {"wrong", "unclear"}, str(report)


def test_a_slope_seen_by_wide_steps_alone_is_told_so():
    torch.manual_seed(0)
    report = check_gradients(Small(1e-12, 0.5), mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert "such a wide step proves nothing" in " ".join(str(report).split())


@pytest.mark.parametrize("scale", [1e-11, 1e-12, 1e-14])
def test_a_right_backward_of_slopes_below_the_noise_is_not_wrong(scale):
    torch.manual_seed(0)
    report = check_gradients(Small(scale, 1.0), mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert report.verdict in ("right", "unclear"), str(report)


def test_a_minimum_is_judged_a_step_aside():
    assert report_of(lambda w: 5 + w**2 + w**3, [0.0]).verdict == "right"
    wrong = report_of(lambda w: 5 + (2 * w.detach() - w) ** 2 + w**3, [0.0])
    assert wrong.verdict == "wrong"
    assert "one step away from a kink or a minimum" in " ".join(str(wrong).split())


def test_a_bias_before_batch_norm_has_slope_0():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    report = check_gradients(net, mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert report.ok, str(report)
    assert "0.bias (4), all 4 elements: right: both are 0, to within" in str(report)


@pytest.mark.parametrize("function", [torch.abs, torch.norm, lambda w: 5 + w.abs()])
def test_the_tip_of_a_cone_is_a_kink(function):
    report = report_of(function, [0.0, 0.0])
    assert [p.verdict for p in report.parameters] == ["kink"], str(report)
    assert "the slope of the loss is -1 on the left and 1 on the right" in " ".join(str(report).split())


def test_a_wrong_backward_at_the_tip_is_found_aside():
    assert report_of(lambda w: 2 * w.abs() - w.abs().detach(), [0.0, 0.0]).verdict == "wrong"


def test_a_kink_is_no_noise():
    assert noise_of(abs, 1.0, UNIT) < 1e-12
    assert noise_of(lambda t: math.sin(1 + t) + 1e8, 1.0, UNIT) > 1e-10


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            torch.sqrt,
            "not finite one step to the left; on the right its slope grows without limit as steps shrink",
        ),
        (lambda w: (-w).sqrt(), "not finite one step to the right; on the left its slope grows"),
        (lambda w: w**1.5, "not finite one step to the left; on the right its slope is"),
        (lambda w: torch.where(w == 0, w, w / 0), "not finite one step to either side"),
    ],
)
def test_a_loss_that_ends_here_is_told_and_not_blamed(function, said):
    report = report_of(function, [0.0])
    assert report.verdict == "unclear"
    text = " ".join(str(report).split())
    assert said in text
    assert "torch.where does not select" not in text


def test_infinity_is_the_slope_of_a_root():
    assert "Autograd gives inf, which agrees." in " ".join(str(report_of(torch.sqrt, [0.0])).split())


@pytest.mark.parametrize("w", [1e-4, 1e-7])
def test_steps_out_of_where_the_loss_is_defined_do_not_count(w):
    assert report_of(torch.log, [w]).ok


def test_infinity_is_wrong_where_there_is_a_slope():
    assert measure(lambda t: (3 + t) ** 2, math.inf).verdict == "wrong"


def test_a_vertical_tangent_is_told():
    found = measure(lambda t: math.copysign(abs(t) ** (1 / 3), t), math.inf)
    assert (found.verdict, found.numeric) == ("unclear", math.inf)


def test_a_kink_beside_an_end_is_told_of_the_side_that_is_defined():
    report = report_of(lambda w: torch.cat([w[:1].sqrt(), w[1:].relu()]), [0.0, 0.0])
    assert [s.verdict for s in report.parameters[0].slopes] == ["unclear", "kink"]
