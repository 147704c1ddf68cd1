"""Classic mistakes of a backward are named where the slopes prove them, and only there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from surefoot.check.gradients import check_gradients


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def layer(slip):
    """A linear layer, whose backward gives slip(x, w, grad) for x, w and b."""

    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return x @ w.T + b

        @staticmethod
        def backward(ctx, grad):
            return slip(*ctx.saved_tensors, grad)

    class Layer(nn.Module):
        def __init__(self, inside, out):
            super().__init__()
            self.w, self.b = nn.Parameter(torch.randn(out, inside)), nn.Parameter(torch.randn(out))

        def forward(self, x):
            return Linear.apply(x, self.w, self.b)

    return Layer


def said(slip, inside=3, out=4, rows=8, loss=mse_loss):
    model = layer(slip)(inside, out)
    report = check_gradients(model, loss, (torch.randn(rows, inside), torch.randn(rows, out)))
    return {p.name: p.slip for p in (*report.parameters, *report.inputs)}


def right(x, w, g):
    return g @ w, g.T @ x, g.sum(0)


NONE = {"w": "", "b": "", "x": ""}


def test_a_right_backward_has_no_slip():
    assert said(right) == NONE


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("inside", "out", "named"),
    [
        (3, 3, "The gradient is the transpose of the right one"),
        (14, 14, "The gradient is the transpose of the right one"),
        (3, 4, "The gradient is the transpose of the right one, 3×4, read row by row as 4×3"),
    ],
)
def test_a_transposed_gradient_is_named(inside, out, named, sign):
    def slip(x, w, g):
        return g @ w, sign * (x.T @ g).reshape(w.shape), g.sum(0)

    turned = ", with the wrong sign" if sign < 0 else ""
    assert said(slip, inside, out) == {**NONE, "w": f"{named}{turned}."}


@pytest.mark.parametrize(
    ("factor", "rows", "named"),
    [
        (8, 8, "The batch has 8 rows: is the 1/8 of a mean missing?"),
        (1 / 8, 8, "The batch has 8 rows: is a mean taken for a sum, or taken twice?"),
        (32, 8, "The loss compares 32 numbers: is the 1/32 of a mean missing?"),
        (0.5, 8, "Is the 2 of a square's slope missing?"),
        (0.5, 2, ""),  # it may be the mean as well
        (0.7, 8, ""),
        (-1, 8, ""),  # told as a turned sign
    ],
)
def test_a_factor_is_named_where_it_can_be_only_one(factor, rows, named):
    def slip(x, w, g):
        return g @ w, factor * g.T @ x, g.sum(0)

    assert said(slip, rows=rows) == {**NONE, "w": named}


@pytest.mark.parametrize("loss", [mse_loss, nn.MSELoss(reduction="sum")])
def test_a_row_in_place_of_the_sum_is_named(loss):
    def slip(x, w, g):
        return g @ w, g[-1:].T @ x[-1:], g[0]

    named = (
        "The gradients of the batch's 8 rows, each alone, add up to the right one: is the sum "
        "over the batch missing, or one row used for all?"
    )
    assert said(slip, loss=loss) == {"w": named, "b": named, "x": ""}


@pytest.mark.parametrize(
    ("both", "named"),
    [
        (lambda da, db: (db, da), ("The gradient is that of b: the two are swapped.",
                                   "The gradient is that of a: the two are swapped.")),
        (lambda da, db: (db, db), ("The gradient is that of b.", "")),
    ],
)  # fmt: skip
def test_the_gradient_of_another_argument_is_named(both, named):
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad):
            a, b = ctx.saved_tensors
            return both(grad * b, grad * a)

    report = check_gradients(Times.apply, batch=(torch.randn(5), torch.randn(5)))
    assert tuple(p.slip for p in report.inputs) == named
    assert all(name in " ".join(str(report).split()) for name in named)


def test_another_mistake_has_no_name():
    def slip(x, w, g):
        return g @ w, (g.T @ x) ** 2, g.cos().sum(0)

    assert said(slip) == NONE
