"""Casts, differentiation and complex numbers inside a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from surefoot.check.gradients import check_gradients


def squared(factor, narrow):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return narrow(x).square().to(x.dtype)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return factor * grad * x

    return Square.apply


class Net(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.first, self.second, self.middle = nn.Linear(3, 4), nn.Linear(4, 2), middle

    def forward(self, x):
        return self.second(self.middle(self.first(x)))


def check(model):
    return check_gradients(model, mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "right"), (2.1, "wrong")])
def test_a_cast_inside_a_function_is_seen(factor, verdict):
    torch.manual_seed(0)
    report = check(Net(squared(factor, torch.Tensor.float)))
    assert (report.verdict, report.dtype) == (verdict, "float32"), str(report)
    assert "kink" not in {p.verdict for p in report.parameters}


def test_what_is_cast_beside_the_loss_is_no_loss_of_digits():
    torch.manual_seed(0)
    kept = []

    def middle(x):
        kept.append(x.float().mean())
        mask = torch.ones_like(x, dtype=torch.float32)
        return x.tanh() * mask

    assert check(Net(middle)).dtype == "float64"


def test_a_cast_in_place_is_seen():
    torch.manual_seed(0)

    def middle(x):
        out = torch.zeros(8, 4, dtype=torch.float64)
        out[:] = x.float().tanh()
        return out

    assert check(Net(middle)).dtype == "float32"


class Penalty(nn.Module):
    """The square of a gradient, taken in the forward pass."""

    def __init__(self, middle):
        super().__init__()
        self.first, self.second, self.middle = nn.Linear(3, 4), nn.Linear(4, 1), middle

    def forward(self, x):
        x = x.detach().requires_grad_()
        y = self.second(self.middle(self.first(x))).sum()
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return slope.square().sum()


class Cube(torch.autograd.Function):
    """x³, with a backward that forgets its own slope."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * grad * x.detach() * x


@pytest.mark.parametrize(("middle", "verdict"), [(torch.tanh, "right"), (Cube.apply, "wrong")])
def test_a_model_that_differentiates_inside_is_checked(middle, verdict):
    torch.manual_seed(0)
    report = check_gradients(Penalty(middle), lambda out, _: out, (torch.randn(2, 3), torch.ones(1)))
    assert report.verdict == verdict, str(report)


def test_a_loss_that_is_another_without_gradients_is_evaluated_with_them():
    torch.manual_seed(0)
    assert check(Net(lambda x: x.tanh() if torch.is_grad_enabled() else x.sin())).ok


def test_other_losses_are_evaluated_without_a_graph():
    torch.manual_seed(0)
    enabled = []

    def middle(x):
        enabled.append(torch.is_grad_enabled())
        return x.tanh()

    assert check(Net(middle)).ok
    assert sum(enabled) < 8 < len(enabled)


class Complex(nn.Module):
    def __init__(self, shape, middle):
        super().__init__()
        self.w, self.middle = nn.Parameter(torch.randn(shape, dtype=torch.cfloat)), middle

    def forward(self, x):
        return self.middle(self.w).real.sum()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (3, "w (3, complex), all 6 real and imaginary parts: wrong in 3 of them: [0].imag, [1].imag"),
        ((), "wrong in 1 of them: its imaginary part. Worst at its imaginary part: autograd"),
        ((20, 20), "real and imaginary parts: wrong along"),
    ],
)
def test_a_missing_conjugate_is_named(shape, said):
    torch.manual_seed(0)
    model = Complex(shape, squared(2, lambda z: z))
    text = " ".join(str(check_gradients(model, lambda out: out, torch.ones(1))).split())
    assert said in text
    assert "The imaginary parts have the wrong sign: is a conjugate missing?" in text


def test_another_mistake_is_no_missing_conjugate():
    torch.manual_seed(0)
    model = Complex(3, lambda w: 2 * (w * w).detach() - w * w)
    text = str(check_gradients(model, lambda out: out, torch.ones(1)))
    assert "The sign is wrong." in text
