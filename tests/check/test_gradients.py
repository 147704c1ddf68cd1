"""check_gradients: a wrong backward is found and named, and what is no mistake is not blamed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from surefoot.check.gradients import check_gradients
from surefoot.check.gradients.slope import measure
from surefoot.cli import main
from surefoot.errors import InputError


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 3), torch.randint(2, (8,))


class Square(torch.autograd.Function):
    """x², with a backward that forgets the factor 2."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x


class Net(nn.Module):
    def __init__(self, middle, hidden: int = 4):
        super().__init__()
        self.first, self.second, self.middle = nn.Linear(3, hidden), nn.Linear(hidden, 2), middle

    def forward(self, x):
        return self.second(self.middle(self.first(x)))


class Of(nn.Module):
    """A function of one parameter."""

    def __init__(self, function, start):
        super().__init__()
        self.w, self.function = nn.Parameter(torch.tensor(start)), function

    def forward(self, _):
        return self.function(self.w)


def verdicts(report) -> dict[str, str]:
    return {p.name: p.verdict for p in report.parameters}


def test_a_wrong_backward_is_found_and_located():
    report = check_gradients(Net(Square.apply), cross_entropy, batch())
    assert report.verdict == "wrong"
    assert verdicts(report) == {
        "first.weight": "wrong",
        "first.bias": "wrong",
        "second.weight": "right",
        "second.bias": "right",
    }
    worst = report.parameters[0].worst
    assert worst.index is not None
    assert worst.autograd == pytest.approx(worst.numeric / 2, rel=1e-8)
    assert abs(worst.autograd * 2 - worst.numeric) <= worst.error * 4
    text = " ".join(str(report).split())
    assert "The gradient is 0.5 times what it should be, everywhere." in text
    assert "look for the mistake between second.weight and first.bias" in text


def test_the_worst_element_of_a_large_parameter_is_found():
    class OneWrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            return w.clone()

        @staticmethod
        def backward(ctx, grad):
            grad = grad.clone()
            grad[17, 23] += 1.0
            return grad

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(40, 50) / 7)

        def forward(self, x):
            return x @ OneWrong.apply(self.w).T

    report = check_gradients(Wide(), mse_loss, (torch.randn(6, 50), torch.randn(6, 40)))
    assert report.parameters[0].worst.index == (17, 23)
    assert "wrong along 4 of these directions and in 1 of these elements: [17, 23]." in str(
        report.parameters[0]
    )


@pytest.mark.parametrize(
    ("size", "off", "said"),
    [
        (4, [2], "wrong in 1 of them: [2]. Worst at element [2]: autograd gives"),
        (4, [0, 2], "wrong in 2 of them: [0] and [2]. Worst"),
        (4, [0, 1, 2, 3], "wrong. Worst"),
        (9, [0, 1, 2, 3, 4], "wrong in 5 of them. Worst"),
        (1, [0], "its only element: wrong. Worst"),
    ],
)
def test_it_is_told_how_many_elements_are_wrong(size, off, said):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            return w.clone()

        @staticmethod
        def backward(ctx, grad):
            grad = grad.clone()
            grad[off] *= 2
            return grad

    start = [1.0 + i for i in range(size)]
    model = Of(lambda w: Doubled.apply(w), start)
    report = check_gradients(model, lambda out, _: (out**2).sum(), (torch.ones(1), torch.ones(1)))
    text = str(report.parameters[0])
    assert said in text
    assert text.endswith(
        f"The gradient is 2 times what it should be{', everywhere' if len(off) == size > 1 else ''}."
    )


@pytest.mark.parametrize(
    ("middle", "hint"),
    [
        (lambda x: x.detach(), "Autograd gives zero"),
        (lambda x: x + 2 * (x - x.detach()), "3 times what it should be"),
        (lambda x: x + (x.round() - x).detach(), "does not change here"),
        (lambda x: 2 * x.detach() - x, "The sign is wrong"),
    ],
    ids=["detached", "tripled", "straight-through", "turned"],
)
def test_the_kind_of_mistake_is_named(middle, hint):
    report = check_gradients(Net(middle), cross_entropy, batch())
    assert report.verdict == "wrong"
    assert hint in " ".join(str(report).split())


@pytest.mark.parametrize("middle", [torch.tanh, torch.relu, nn.functional.gelu, torch.abs, nn.BatchNorm1d(4)])
def test_right_gradients_are_right(middle):
    report = check_gradients(Net(middle), cross_entropy, batch())
    assert report.ok, str(report)
    assert set(verdicts(report).values()) == {"right"}


def test_a_network_of_relus_that_starts_at_its_kinks_is_not_blamed():
    net = Net(torch.relu)
    nn.init.zeros_(net.first.weight)
    nn.init.zeros_(net.first.bias)
    report = check_gradients(net, cross_entropy, batch())
    assert report.ok, str(report)
    assert verdicts(report)["first.bias"] == "kink"
    assert "a kink (a ReLU at 0?)" in str(report)


def test_a_wrong_backward_hidden_by_a_kink_is_still_found():
    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 3 * grad * (x > 0)

    net = Net(Relu.apply)
    nn.init.zeros_(net.first.weight)
    nn.init.zeros_(net.first.bias)
    report = check_gradients(net, cross_entropy, batch())
    assert report.verdict == "wrong"
    assert "one step away from a kink" in " ".join(str(report).split())


def test_a_jump_is_told_from_a_wrong_gradient():
    class Count(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.5, 0.25]))

        def forward(self, x):
            return (self.w >= 1.5).double().sum() + 0 * self.w.sum()

    report = check_gradients(Count(), lambda out: out, torch.zeros(1))
    assert report.verdict == "discontinuous"
    assert "the loss jumps at element [0]" in str(report)


def test_state_that_changes_in_forward_is_non_deterministic():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.calls = nn.Parameter(torch.ones(2)), 0

        def forward(self, x):
            self.calls += 1
            return self.w * self.calls

    report = check_gradients(Counting(), lambda out: out.sum(), torch.zeros(1))
    assert report.verdict == "non-deterministic"
    assert not report.ok


def test_a_backward_that_draws_random_numbers_is_non_deterministic():
    generator = torch.Generator()

    class Noisy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * torch.rand(1, generator=generator).double()

    assert check_gradients(Net(Noisy.apply), cross_entropy, batch()).verdict == "non-deterministic"


def test_dropout_draws_the_same_numbers_in_every_evaluation():
    report = check_gradients(Net(nn.Dropout(0.5)), cross_entropy, batch())
    assert report.ok, str(report)
    assert report.draws


def test_a_model_that_computes_in_float32_inside_is_judged_by_its_own_noise():
    report = check_gradients(Net(lambda x: x.float().tanh().double()), cross_entropy, batch())
    assert report.ok, str(report)


class Narrow(nn.Module):
    """A sum in float32, of slope c, whose backward gives `factor` times that."""

    def __init__(self, c, factor=1.0):
        super().__init__()
        self.w, self.c, self.factor = nn.Parameter(torch.tensor([1.0, 2.0])), c, factor

    def forward(self, x):
        w = self.w.float()
        w = w.detach() * (1 - self.factor) + w * self.factor
        return (w * self.c).sum() + x.float()


@pytest.mark.parametrize("c", [10.0, 1.0, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
def test_a_slope_that_float32_hides_is_never_wrong(c):
    report = check_gradients(Narrow(c), lambda out: out.sum(), torch.tensor([1.0]))
    assert report.verdict == ("right" if c >= 1e-4 else "unclear"), str(report)
    assert report.dtype == "float32"
    assert "The loss is computed at least partly in float32" in str(report)


@pytest.mark.parametrize("factor", [2.0, 0.5, -1.0, 0.9])
@pytest.mark.parametrize("loss", [lambda out: out.sum(), lambda out: out.double().square().sum()])
def test_a_wrong_backward_in_float32_is_found(loss, factor):
    report = check_gradients(Narrow(0.1, factor), loss, torch.tensor([1.0]))
    assert report.verdict == "wrong", str(report)


def test_casts_of_what_is_no_parameter_are_no_loss_of_digits():
    report = check_gradients(
        Net(lambda x: x * (x > 0).float() * torch.ones(4)), lambda out, y: cross_entropy(out, y), batch()
    )
    assert report.dtype == "float64"


def test_complex_parameters_are_checked_as_pairs():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3, dtype=torch.cfloat))

        def forward(self, x):
            return x @ (self.w.abs() + self.w.imag**2)

    report = check_gradients(Complex(), lambda out: out.square().sum(), torch.randn(4, 3))
    assert report.ok
    assert report.parameters[0].shape == (3, 2)


def test_the_model_is_left_alone():
    net = Net(nn.BatchNorm1d(4))
    before = {n: t.clone() for n, t in net.state_dict().items()}
    check_gradients(net, cross_entropy, batch())
    assert all(torch.equal(t, before[n]) and t.dtype == before[n].dtype for n, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


class Silent:
    """A loss that says nothing of what is wrong."""

    def __call__(self, out, target):
        raise TypeError


@pytest.mark.parametrize(
    ("model", "loss", "sentence"),
    [
        (nn.Linear(3, 2), lambda out, y: out, r"one element, but it is of shape \(8, 2\)"),
        (nn.Linear(3, 2), lambda out, y: 3.0, "one element, but it is a float"),
        (nn.Linear(3, 2), lambda out, y: out.sum() / 0, r"The loss is -?inf at the given parameters"),
        (
            nn.Linear(4, 2),
            cross_entropy,
            "cannot be computed in float64: RuntimeError: (addmm: )?mat1 and mat2",
        ),
        (nn.Linear(3, 2), Silent(), "cannot be computed in float64: TypeError."),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(model, loss, sentence):
    with pytest.raises(InputError, match=sentence):
        check_gradients(model, loss, batch())


def test_a_model_without_parameters_has_nothing_but_inputs():
    with pytest.raises(InputError, match="no parameter that requires a gradient"):
        check_gradients(nn.Flatten(), mse_loss, batch(), inputs=False)


class Cut(torch.autograd.Function):
    """A backward that returns a gradient of the wrong shape."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad[:, :2]


def failing_later():
    """A loss that computes at the start, and not a step away from it."""
    start = []

    def loss(out, y):
        start.append(out.sum().item())
        return mse_loss(out, [y][0 if start[-1] == start[0] else 1])

    return loss


@pytest.mark.parametrize(
    ("model", "loss", "sentence"),
    [
        (
            Of(Cut.apply, [[1.0, 2.0, 3.0]]),
            lambda out, y: out.sum(),
            "RuntimeError: Function CutBackward",
        ),
        (Of(lambda w: w, [1.0]), failing_later(), "The loss cannot be computed in float64: IndexError: list"),
        (nn.Linear(3, 2), lambda out, y: {}[3], "The loss cannot be computed in float64: KeyError: 3.$"),
    ],
)
def test_what_a_pass_raises_is_one_sentence(model, loss, sentence):
    with pytest.raises(InputError, match=sentence):
        check_gradients(model, loss, (torch.ones(2, 3), torch.ones(1)))


def test_a_batch_without_a_tensor_is_one_sentence():
    with pytest.raises(InputError, match=r"The batch must be \(\*inputs, target\) or one tensor, not \(\)"):
        check_gradients(nn.Linear(3, 2), mse_loss, ())


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [({"samples": -1}, "samples is -1"), ({"directions": 0, "samples": 0}, "would not be measured")],
)
def test_counts_of_what_is_measured(counts, sentence):
    with pytest.raises(InputError, match=sentence):
        check_gradients(nn.Linear(30, 20), mse_loss, (torch.ones(2, 30), torch.ones(2, 20)), **counts)


def test_small_parameters_need_no_directions():
    assert check_gradients(
        nn.Linear(2, 1), mse_loss, (torch.ones(2, 2), torch.ones(2, 1)), directions=0, samples=0
    )


@given(
    a=st.floats(-3, 3),
    b=st.floats(-3, 3),
    factor=st.sampled_from([0.0, 0.5, -1.0, 1.001, 2.0]),
)
def test_smooth_slopes_are_measured_within_the_estimated_error(a, b, factor):
    truth = a * math.cos(b) * math.exp(math.sin(b))

    def loss(t):
        return a * math.exp(math.sin(b + t))

    good = measure(loss, truth)
    assert good.verdict == "right"
    assert good.off <= 4 * good.error + 1e-5 * abs(truth)
    if abs(truth) > 1e-3:
        assert measure(loss, factor * truth).verdict == "wrong"


@given(distance=st.floats(1e-12, 1e-2), left=st.floats(-2, 2), right=st.floats(-2, 2))
def test_a_kink_near_by_is_never_blamed(distance, left, right):
    def loss(t):
        return 1 + (right * (t - distance) if t > distance else left * (t - distance)) + 0.3 * t * t

    assert measure(loss, left).verdict in ("right", "kink", "unclear")


def test_it_displays_itself():
    report = check_gradients(Net(torch.tanh), cross_entropy, batch())
    assert report._repr_html_().startswith("<p ")
    assert report.to_dict()["verdict"] == "right"
    assert str(report).startswith("Gradients of Net under cross_entropy, in float64: right.")
    assert repr(report) == "<GradientReport: Gradients of Net under cross_entropy, in float64: right>"


def test_the_command(tmp_path, capsys):
    (tmp_path / "grads.py").write_text(
        "import torch\n"
        "def right():\n"
        "    batch = torch.ones(3, 2), torch.zeros(3, 1)\n"
        "    return torch.nn.Linear(2, 1), torch.nn.functional.mse_loss, batch\n"
        "def wrong():\n"
        "    model, loss, batch = right()\n"
        "    return model, lambda out, y: loss(out.detach() * 2 - out, y), batch\n"
        "def one():\n"
        "    return 1\n"
        "def broken():\n"
        "    raise KeyError('x')\n"
        "class Cut(torch.autograd.Function):\n"
        "    forward = staticmethod(lambda ctx, x: x * 2)\n"
        "    backward = staticmethod(lambda ctx, grad: grad[:2])\n"
        "def crashes():\n"
        "    model, loss, batch = right()\n"
        "    return model, lambda out, y: loss(Cut.apply(out), y), batch\n"
        "def quits():\n"
        "    raise SystemExit(5)\n"
    )
    file = tmp_path / "grads.py"
    assert main(["gradients", f"{file}:right"]) == 0
    assert "in float64: right." in capsys.readouterr().out
    assert main(["gradients", f"{file}:wrong", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "wrong"
    assert main(["gradients", f"{file}:one"]) == 2
    assert "must return (model, loss, batch)" in capsys.readouterr().err
    assert main(["gradients", f"{file}:broken"]) == 2
    assert "raised KeyError" in capsys.readouterr().err
    assert main(["gradients", f"{file}:crashes"]) == 2
    said = capsys.readouterr().err
    assert "The backward pass cannot be computed: RuntimeError: Function CutBackward returned" in said
    assert "Traceback" not in said
    assert main(["gradients", f"{file}:quits"]) == 2
    assert capsys.readouterr().err.endswith(":quits() raised SystemExit: 5.\n")


@pytest.mark.parametrize(
    ("function", "start", "verdict"),
    [
        # NaN on the way that torch.where does not select
        (lambda w: torch.where(w == 0, torch.ones_like(w), torch.sin(w) / w).sum(), [0.0, 1.0], "wrong"),
        (lambda w: torch.where(w > 0, w.sqrt(), w).sum(), [0.0, 1.0], "wrong"),
        (lambda w: ((w - torch.tensor([1.0, 2.0])) ** 2).sum().sqrt(), [1.0, 2.0], "wrong"),
        # another number, where both sides have one slope
        (lambda w: torch.where(w == 0, 5 * w + 1, torch.cos(w)).sum(), [0.0], "wrong"),
        (lambda w: w.relu().sum(), [0.0, 1.0], "kink"),
        (lambda w: w.abs().sum(), [0.0, 1.0], "kink"),
        (lambda w: w.max(), [1.0, 1.0], "kink"),
        (lambda w: w.clamp(0, 1).sum(), [0.0, 1.0], "kink"),
        (lambda w: (w**3).sum(), [0.0, 1.0], "right"),
        (lambda w: (30 * w).cos().sum(), [0.0, 1.0], "right"),
        (lambda w: (-400 * w**2).exp().sum(), [0.0, 0.05], "right"),
        (lambda w: w.exp().sum(), [3.0, 10.0], "right"),
        (lambda w: (w * w.abs()).sum(), [0.0, 1.0], "right"),
        (lambda w: torch.where(w > 0, w**2, -(w**2)).sum(), [0.0, 1.0], "right"),
    ],
)
def test_a_kink_is_where_the_two_sides_do_not_meet(function, start, verdict):
    report = check_gradients(Of(function, start), lambda output: output, torch.zeros(1))
    assert verdicts(report) == {"w": verdict}
    assert "a branch that torch.where does not select" in " ".join(str(report).split()) or "nan" not in str(
        report
    )


def test_sparse_gradients_are_gradients():
    net = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Linear(4, 2))
    report = check_gradients(net, cross_entropy, (torch.tensor([1, 3, 3]), torch.tensor([0, 1, 1])))
    assert report.verdict == "right"


class Words(nn.Module):
    """A mean of words, some of them padding, whose row autograd leaves alone."""

    def __init__(self, bag, words):
        super().__init__()
        kind = nn.EmbeddingBag if bag else nn.Embedding
        self.e, self.l = kind(words, 4, padding_idx=-words), nn.Linear(4, 2)

    def forward(self, x):
        e = self.e(x)
        return self.l(e if e.ndim == 2 else e.mean(1))


@pytest.mark.parametrize("bag", [False, True])
@pytest.mark.parametrize("words", [6, 200])
def test_the_row_of_the_padding_is_left_out_and_named(bag, words):
    batch = torch.randint(0, words, (6, 5)).index_fill_(1, torch.tensor([0]), 0), torch.tensor([0, 1] * 3)
    report = check_gradients(Words(bag, words), cross_entropy, batch)
    assert report.verdict == "right", str(report)
    assert report.padding == {"e.weight": 0}
    assert report.to_dict()["padding"] == {"e.weight": 0}
    assert "Row 0 of e.weight is left out: with padding_idx=0" in " ".join(str(report).split())
    assert not [s for s in report.parameters[0].slopes if s.index and s.index[0] == 0]
    whole = report.parameters[0]
    assert len(whole.slopes) == (20 if words == 6 else 16)


def test_a_wrong_embedding_is_still_found_beside_its_padding():
    class Halved(Words):
        def forward(self, x):
            return self.l(Square.apply(self.e(x)).mean(1))

    batch = torch.randint(1, 200, (6, 5)), torch.tensor([0, 1] * 3)
    report = check_gradients(Halved(False, 200), cross_entropy, batch)
    assert verdicts(report) == {"e.weight": "wrong", "l.weight": "right", "l.bias": "right"}
    assert report.parameters[0].worst.index[0] != 0


def test_a_table_of_padding_alone_is_nothing_to_check():
    net = nn.Sequential(nn.Embedding(1, 4, padding_idx=0), nn.Linear(4, 2))
    report = check_gradients(net, cross_entropy, (torch.tensor([0, 0]), torch.tensor([0, 1])))
    assert verdicts(report) == {"1.weight": "right", "1.bias": "right"}


@pytest.mark.parametrize(
    ("model", "loss", "said"),
    [
        ("x", mse_loss, "The model must be a torch.nn.Module or a function, not 'x'."),
        (nn.Linear(1, 1), "mse", "The loss must be a function, not 'mse'."),
    ],
)
def test_what_is_no_model_or_no_loss_is_one_sentence(model, loss, said):
    with pytest.raises(InputError) as refused:
        check_gradients(model, loss, torch.ones(1))
    assert str(refused.value) == said


def test_hooks_of_parameters_are_part_of_what_is_checked():
    model = nn.Linear(3, 2)
    model.weight.register_hook(lambda g: 2 * g)
    report = check_gradients(model, mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert verdicts(report) == {"weight": "wrong", "bias": "right"}
    assert "The gradient is 2 times what it should be" in " ".join(str(report).split())
    assert "weight has a hook; it was included in the check." in str(report)


def test_hooks_of_frozen_parameters_do_not_matter():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[0].weight.register_hook(lambda g: None)
    model[0].weight.requires_grad_(False)
    assert check_gradients(model, mse_loss, (torch.randn(8, 3), torch.randn(8, 2))).ok


def test_hooks_that_run_after_accumulation_are_named():
    model = nn.Linear(3, 2)
    model.bias.register_post_accumulate_grad_hook(lambda p: p.grad.zero_())
    report = check_gradients(model, mse_loss, (torch.randn(8, 3), torch.randn(8, 2)))
    assert report.ok
    assert "bias has a hook that runs after accumulation; it was not included in the check." in str(report)


class Scale(torch.autograd.Function):
    """x, with a gradient that is 3 % too small."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return 0.97 * grad


@pytest.mark.parametrize("constant", [0.0, 1e9])
def test_a_large_constant_in_the_loss_hides_no_mistake(constant):
    def loss(output, target):
        return constant + mse_loss(output, target)

    rows = torch.randn(8, 3), torch.randn(8, 2)
    found = verdicts(check_gradients(Net(Scale.apply), loss, rows))
    assert found == {
        "first.weight": "wrong",
        "first.bias": "wrong",
        "second.weight": "right",
        "second.bias": "right",
    }
    assert check_gradients(Net(nn.Tanh()), loss, rows).ok


def test_what_noise_hides_is_not_called_right():
    rows = torch.randn(8, 3), torch.randn(8, 2)
    report = check_gradients(Net(nn.Tanh()), lambda y, t: 1e11 + mse_loss(y, t), rows)
    assert report.verdict == "unclear"


def test_a_gradient_of_0_beside_a_loss_is_right():
    net = Net(nn.Tanh())
    nn.init.zeros_(net.second.weight)
    report = check_gradients(net, cross_entropy, batch())
    assert report.ok
    assert max(abs(s.autograd) for s in report.parameters[0].slopes) == 0


class Late(nn.Module):
    """Its own parameter is registered first, and used last, where its gradient is forgotten."""

    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(w)
            return x * w

        @staticmethod
        def backward(ctx, grad):
            (w,) = ctx.saved_tensors
            return grad * w, None

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(4) + 0.5)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.second(self.Times.apply(self.first(x).tanh(), self.scale))


def test_a_place_is_told_only_where_gradients_flow_that_way():
    report = check_gradients(Late(), cross_entropy, batch())
    assert verdicts(report)["scale"] == "wrong"
    assert verdicts(report)["first.weight"] == "right"
    assert next(iter(report.flow)) in ("first.weight", "first.bias")
    assert "look for the mistake between" not in str(report)


class Branches(nn.Module):
    """A wrong layer between two right ones, beside which another way goes."""

    def __init__(self):
        super().__init__()
        self.a, self.side, self.b = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.b((Square.apply(self.a(x).tanh()) + self.side(x)).tanh())


def test_what_lies_on_another_way_is_no_end_of_the_place():
    report = check_gradients(Branches(), cross_entropy, batch())
    assert {n for n, v in verdicts(report).items() if v == "wrong"} == {"a.weight", "a.bias"}
    text = " ".join(str(report).split())
    assert "look for the mistake between b.weight and a." in text or "between b.bias and a." in text


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, "a", 0.5])
def test_a_seed_that_torch_cannot_take_is_told(seed):
    with pytest.raises(InputError, match=r"seed is .*; it must be a whole number from −2⁶³ to 2⁶⁴ − 1"):
        check_gradients(Net(nn.Tanh()), cross_entropy, batch(), seed=seed)


def test_a_seed_may_be_of_numpy():
    assert check_gradients(Net(nn.Tanh()), cross_entropy, batch(), seed=np.int64(3)).ok


def test_what_computes_in_eight_bits_is_judged_too():
    net = Net(lambda x: x.to(torch.float8_e4m3fn).to(x.dtype))
    assert check_gradients(net, cross_entropy, batch()).dtype == "float8"
