from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train import models
from surefoot.train.steps import threads


def sentence(spec: str, shape: tuple[int, ...] = (28, 28)) -> str:
    with pytest.raises(InputError) as caught:
        models.build(spec, shape, 10)
    return str(caught.value)


def test_the_lectures_mlp_applies_its_dropout() -> None:
    model = models.build("mlp", (28, 28), 10)
    assert [type(layer) for layer in model.children()] == [
        nn.Flatten,
        nn.Linear,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
    ]
    x = torch.rand(4, 28, 28)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("spec", "shape", "hidden", "parameters"),
    [
        ("mlp", (28, 28), None, 784 * 256 + 256 + 2560 + 10),
        ("mlp", (3,), (5, 4), 20 + 24 + 50),
        ("linear", (28, 28), None, 7850),
        ("cnn", (28, 28), None, 160 + 16 * 32 * 9 + 32 + 7 * 7 * 32 * 10 + 10),
        ("cnn", (3, 8, 8), (4,), 3 * 4 * 9 + 4 + 4 * 16 * 10 + 10),
    ],
)
def test_a_model_has_its_size(
    spec: str, shape: tuple[int, ...], hidden: tuple[int, ...] | None, parameters: int
) -> None:
    model = models.build(spec, shape, 10, hidden=hidden)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


def test_no_dropout_is_no_layer() -> None:
    assert not any(isinstance(m, nn.Dropout) for m in models.build("mlp", (4,), 2, dropout=0.0).modules())


def test_a_users_model_is_given_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, shape, outputs, width=3):\n"
        "        super().__init__(shape[0], outputs)\n"
        "class Picky(nn.Linear):\n"
        "    def __init__(self, width):\n"
        "        super().__init__(width, width)\n"
        "class Broken(nn.Module):\n"
        "    def __init__(self):\n"
        "        raise RuntimeError('not today')\n"
        "class Empty(nn.Module):\n"
        "    pass\n",
        encoding="utf-8",
    )
    assert models.build(f"{file}:Net", (7,), 2)(torch.zeros(1, 7)).shape == (1, 2)
    assert sentence(f"{file}:Picky") == (
        f"The model '{file}:Picky' requires width; surefoot passes shape, outputs, hidden and"
        " dropout; other parameters need defaults."
    )
    assert sentence(f"{file}:Broken") == f"The model '{file}:Broken' cannot be made: RuntimeError: not today."
    assert sentence(f"{file}:Empty") == f"The model '{file}:Empty' has no parameters to train."


def test_hidden_sizes_that_a_model_does_not_take() -> None:
    with pytest.raises(InputError, match="takes no hidden sizes; leave them out"):
        models.build("linear", (4,), 2, hidden=(3,))


def test_an_unknown_model() -> None:
    assert sentence("mpl") == (
        "Unknown model 'mpl'; did you mean 'mlp'?"
        " Known: cnn, file.py:Class, linear, mlp, package.module:Class."
    )


def test_a_cnn_needs_pictures_that_can_be_halved() -> None:
    assert sentence("cnn", (3,)) == (
        "A cnn needs images, (height, width) or (channels, height, width), not (3,)."
    )
    assert sentence("cnn", (12, 12, 3)) == (
        "A cnn of 2 layers needs images of at least 4 × 4, not (12, 12, 3); are its channels last? They come"
        " first, as (3, 12, 12)."
    )
    assert sentence("cnn", (3, 9)) == "A cnn of 2 layers needs images of at least 4 × 4, not (3, 9)."


def test_descriptions() -> None:
    assert models.describe(models.build("cnn", (28, 28), 10)) == "20,490 parameters"
    assert models.describe(nn.LSTM(2, 3)) == "84 parameters"
    assert models.describe(nn.Linear(2, 3)) == "9 parameters"
    assert models.describe(nn.Sequential(nn.Linear(2, 3), nn.Tanh())) == "9 parameters"


class Gives(nn.Module):
    """Gives what a function makes of the right output."""

    def __init__(self, change: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.layer, self.change, self.shown = nn.Linear(4, 10), change, []
        self.register_buffer("seen", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> object:
        self.seen += 1
        if not self.shown:
            self.shown.append(torch.ones(4))  # as a cache of positions
        return self.change(self.layer(x * self.shown[0]))


def test_looking_at_a_model_leaves_no_trace() -> None:
    net = Gives(lambda y: y)
    net.layer.eval()
    state = torch.get_rng_state()
    models.look(net, "net.py:Net", torch.zeros(2, 4), 10)
    threads.small(net, torch.zeros(1, 4), 32)
    assert net.seen == 0
    assert net.training
    assert not net.layer.training
    assert torch.equal(state, torch.get_rng_state())
    net(torch.ones(2, 4)).sum().backward()  # what it keeps is no tensor of inference


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.Linear(4, 3), "The model 'net.py:Net' returns shape (2, 3) for 2 rows; expected (2, 10)."),
        (Gives(lambda y: (y, y)), "The model 'net.py:Net' returns a tuple; it must return one tensor."),
        (Gives(lambda y: None), "The model 'net.py:Net' returns None; it must return one tensor."),
        (
            Gives(lambda y: y.T),
            "The model 'net.py:Net' returns shape (10, 2) for 2 rows; expected (2, 10).",
        ),
        (
            Gives(lambda y: y.unsqueeze(2)),
            "The model 'net.py:Net' returns shape (2, 10, 1) for 2 rows; expected (2, 10).",
        ),
        (
            Gives(torch.Tensor.detach),
            "The output of the model 'net.py:Net' has no gradient to its parameters; is it detached, or under"
            " no_grad?",
        ),
        (nn.Linear(5, 10), "The model 'net.py:Net' cannot take rows of shape (4,): RuntimeError: "),
    ],
)
def test_a_model_that_does_not_fit_the_data(model: nn.Module, text: str) -> None:
    with pytest.raises(InputError) as caught:
        models.look(model, "net.py:Net", torch.zeros(2, 4), 10)
    assert str(caught.value).startswith(text)


def test_a_look_leaves_no_trace() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 10))
    before = [t.clone() for t in model.state_dict().values()]
    random = torch.get_rng_state()
    models.look(model, "net.py:Net", torch.ones(2, 4), 10)
    assert model.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


class TrainsOnly(nn.Linear):
    """Gives a gradient in training alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with nullcontext() if self.training else torch.no_grad():
            return super().forward(x)


def test_a_model_that_can_be_trained_is_not_refused() -> None:
    x = torch.zeros(2, 4)
    models.look(TrainsOnly(4, 10), "net.py:Net", x, 10)
    models.look(nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3))), "net.py:Net", x, 6, classes=False)
    models.look(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), "net.py:Net", x, 1, classes=False)


def test_dropout_is_refused_where_there_is_none_to_set() -> None:
    with pytest.raises(InputError, match=r"^The model 'linear' takes no dropout; leave it out\.$"):
        models.build("linear", (4,), 2, dropout=0.2)
    for unsaid in (0.0, None):
        models.build("linear", (4,), 2, dropout=unsaid)
