"""Inputs are checked as parameters are, and functions as models; what was not looked at is said."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, mse_loss

from surefoot.check.gradients import check_gradients
from surefoot.cli import main
from surefoot.errors import InputError


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Doubled(torch.autograd.Function):
    """x·w, with a gradient of x that is twice what it should be."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return 2 * grad @ w.T, x.T @ grad


class Of(nn.Module):
    """A linear layer behind a function of its input."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(3, 4), function

    def forward(self, x):
        return self.linear(self.function(x))


def numbers(*shape):
    return torch.linspace(-1.3, 1.7, math.prod(shape)).sin().reshape(shape)


def rows():
    return torch.randn(6, 3), torch.randn(6, 4)


def verdicts(report) -> dict[str, str]:
    return {p.name: p.verdict for p in (*report.parameters, *report.inputs)}


def flat(report) -> str:
    return " ".join(str(report).split())


def test_a_layer_wrong_for_its_input_alone_is_found():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3, 4))

        def forward(self, x):
            return Doubled.apply(x, self.w)

    report = check_gradients(Layer(), mse_loss, rows())
    assert (report.verdict, verdicts(report)) == ("wrong", {"w": "right", "x": "wrong"})
    assert "x (6×3, input), all 18 elements: wrong. Worst" in flat(report)
    assert "2 times what it should be, everywhere." in flat(report)
    assert "The gradients of all parameters are right, but that of x is wrong" in flat(report)
    assert "x (6×3, input)" in report._repr_html_()
    assert report.to_dict()["inputs"][0]["input"]
    only = check_gradients(Layer(), mse_loss, rows(), inputs=False)
    assert only.ok
    assert "in float64: right; inputs were not checked." in str(only)
    assert not only.inputs


def test_functions_are_checked_in_each_argument():
    report = check_gradients(Doubled.apply, batch=(torch.randn(5, 3), torch.randn(3, 2)))
    assert verdicts(report) == {"x": "wrong", "w": "right"}
    assert str(report).startswith("Gradients of Doubled, in float64: wrong.")
    assert "The loss is the output multiplied by fixed random weights and summed" in flat(report)


def test_each_element_of_a_backward_counts():
    class Mixed(torch.autograd.Function):
        """A backward that only the sum of the output does not show to be wrong."""

        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad.flip(0)

    assert check_gradients(Mixed.apply, lambda out: out.sum(), torch.randn(4)).ok
    assert check_gradients(Mixed.apply, batch=torch.randn(4)).verdict == "wrong"


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (torch.sigmoid, numbers(5, 3)),
        (torch.fft.fft, numbers(2, 4)),
        (torch.relu, torch.zeros(3)),
        (torch.max, torch.ones(3)),
        (lambda x, power: x**power, (numbers(4), 3)),
        (lambda x: x.float().square(), numbers(4)),
        (lambda x: x.mul_(2).exp_(), numbers(4)),
        (lambda z: z.abs().square() + z.real, numbers(3).cfloat()),
        (nn.LSTM(2, 3), numbers(4, 1, 2)),
    ],
)
def test_right_functions_are_right(function, given):
    report = check_gradients(function, batch=given)
    assert report.ok, str(report)
    assert len(report.inputs) == 1


@pytest.mark.parametrize(
    "first",
    [nn.ReLU(inplace=True), nn.BatchNorm1d(3), nn.Dropout(0.5), torch.abs, nn.Softmax(1), nn.Identity()],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_right_models_are_right_for_their_inputs(first, dtype):
    x, y = rows()
    given = x.to(dtype).requires_grad_() * 1  # no leaf
    report = check_gradients(Of(first), mse_loss, (given, y.to(dtype)))
    assert report.ok, str(report)
    assert verdicts(report)["x"] == "right"


def test_pictures_with_ties_are_at_a_kink():
    net = nn.Sequential(
        nn.MaxPool2d(2), nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2)
    )
    report = check_gradients(net, cross_entropy, (torch.randn(3, 1, 4, 4).sign(), torch.tensor([0, 1, 0])))
    assert report.ok, str(report)
    assert verdicts(report)["input"] == "kink"


def test_attention_with_a_mask_of_infinity():
    mask = torch.zeros(3, 3).masked_fill(torch.ones(3, 3).triu(1).bool(), -math.inf)

    def attend(q, mask):
        return torch.softmax(q @ q.T + mask, 1) @ q

    report = check_gradients(attend, batch=(torch.randn(3, 4), mask))
    assert report.ok, str(report)
    assert "; mask was not checked." in str(report)
    assert "mask holds numbers that are not finite: it was not checked." in str(report)


def test_whole_numbers_have_no_gradient():
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    report = check_gradients(net, cross_entropy, (torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1])))
    assert report.ok
    assert "input holds int64 and has no gradient: it was not checked." in str(report)


def test_inputs_in_a_dict_and_a_list_have_names_by_place():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Parameter(torch.ones(3, 4))

        def forward(self, x, more):
            return (x + more["a"] * more["b"][0]) @ self.x

    x, y = rows()
    report = check_gradients(Model(), mse_loss, (x, {"a": x + 1, "b": (x * 2,)}, y))
    assert list(verdicts(report)) == ["x", "input x", "more['a']", "more['b'][0]"]
    assert report.ok


def test_what_a_model_cuts_off_is_told_and_not_blamed():
    x, y = rows()
    report = check_gradients(Of(torch.Tensor.detach), mse_loss, (x, y))
    assert report.ok
    assert "in float64: right; x was not checked." in str(report)
    assert "x gets no gradient (it is detached," in flat(report)
    asked = check_gradients(Of(torch.Tensor.detach), mse_loss, (x.requires_grad_(), y))
    assert verdicts(asked)["x"] == "wrong"
    assert "Autograd gives zero: is a tensor detached" in flat(asked)
    alone = check_gradients(lambda x: x.detach() ** 2, batch=x)
    assert alone.verdict == "wrong"


def test_an_input_that_does_not_matter_has_slope_0():
    report = check_gradients(lambda x, unused: x**2, batch=(torch.randn(3), torch.randn(2)))
    assert verdicts(report) == {"x": "right", "unused": "right"}


def test_numbers_of_rows_in_floats_are_not_moved():
    report = check_gradients(
        Of(lambda x: torch.eye(3, dtype=torch.float64)[x.long()]),
        mse_loss,
        (torch.tensor([0.0, 1, 2, 0, 1, 2]), torch.randn(6, 4)),
    )
    assert report.ok
    assert set(report.unchecked) == {"x"}


def test_a_straight_through_estimator_says_what_is_seen():
    report = check_gradients(Of(lambda x: x + (x.round() - x).detach()), mse_loss, rows())
    assert verdicts(report) == {"linear.weight": "right", "linear.bias": "right", "x": "wrong"}
    assert "a straight-through estimator?" in flat(report)


def test_a_pass_that_fails_with_a_gradient_of_its_input_is_checked_without():
    report = check_gradients(Of(lambda x: torch.from_numpy(x.numpy() * 2)), mse_loss, rows())
    assert report.ok
    assert "x cannot require a gradient (RuntimeError: Can't call numpy()" in flat(report)
    assert "; x was not checked." in str(report)


def test_an_input_at_its_end_is_no_error():
    report = check_gradients(nn.Identity(), binary_cross_entropy, (torch.tensor([0.5, 1.0]), torch.ones(2)))
    assert [s.verdict for s in report.inputs[0].slopes] == ["right", "unclear"]


def test_the_batch_is_left_alone():
    x, y = torch.randn(6, 3).double(), torch.randn(6, 4).double()
    before = x.clone()
    assert check_gradients(Of(nn.ReLU(inplace=True)), mse_loss, (x, y)).ok
    assert torch.equal(x, before)
    assert not x.requires_grad


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((Doubled, None, torch.ones(1)), "Doubled is a class, and no model: give its .apply."),
        ((nn.ReLU, None, torch.ones(1)), "ReLU is a class, and no model: make one and give that."),
        (
            (torch.relu, torch.ones(1)),
            "Without a loss, name what is given to the model: ",
        ),
        ((torch.relu, None, torch.ones(1).long()), "No parameter requires a gradient and no input can have"),
        ((lambda x: "y", None, torch.ones(1)), "The output is of type str, and has no floating-point tensor"),
    ],
)
def test_what_is_no_function_or_no_input_is_one_sentence(arguments, said):
    with pytest.raises(InputError) as refused:
        check_gradients(*arguments)
    assert str(refused.value).startswith(said)


def test_the_command_takes_a_function_and_leaves_inputs_out(tmp_path, capsys):
    file = tmp_path / "functions.py"
    file.write_text(
        "import torch\n"
        "class Half(torch.autograd.Function):\n"
        "    forward = staticmethod(lambda ctx, x: x * 1)\n"
        "    backward = staticmethod(lambda ctx, grad: grad / 4)\n"
        "def alone():\n"
        "    return Half.apply, torch.ones(3)\n"
        "class Net(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return super().forward(Half.apply(x))\n"
        "def net():\n"
        "    return Net(2, 1), torch.nn.functional.mse_loss, (torch.ones(3, 2), torch.zeros(3, 1))\n"
    )
    assert main(["gradients", f"{file}:alone"]) == 1
    assert "The gradient is 0.25 times what it should be, everywhere." in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["gradients", f"{file}:net", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["inputs"][0]["name"] == "x"
    assert main(["gradients", f"{file}:net", "--no-inputs"]) == 0
    assert "right; inputs were not checked." in capsys.readouterr().out
