"""Rows by which few models learn are told of, once, before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import surefoot
from surefoot.errors import InputError
from surefoot.train.data import learn
from surefoot.train.looks.advice import of_inputs, of_targets
from surefoot.train.objective.objective import Objective
from surefoot.train.rows.feed import feed
from surefoot.train.rows.inputs import Several

CPU = torch.device("cpu")
FAR = torch.tensor([[0.5, -240.0], [0.25, 3.0]] * 5)
Y = torch.arange(10) % 2
INPUTS = (
    "The inputs are as large as 240; few models learn from these. Scale them to about 1, as with"
    " scaling=surefoot.train.data.learn('standard', x), where x are the training inputs.\n"
)
TARGETS = (
    "The targets are as large as 200,000; few models reach these with usual steps. Scale them to about 1, as"
    " with (y - y.mean()) / y.std() of the training targets.\n"
)


def said(capsys: pytest.CaptureFixture[str], model: nn.Module, x: Any, y: Tensor, **options: Any) -> str:
    """What is printed above the table."""
    surefoot.fit(model, (x, y), epochs=1, optimizer=lambda p: surefoot.SGD(p, lr=0.0), **options)
    return capsys.readouterr().out.partition("epoch")[0]


def test_large_bytes() -> None:
    def told(pixels: Tensor, scaling: Any = None) -> str | None:
        found = feed((pixels, Y), 4, device=CPU, scaling=scaling)
        return None if found.advice is None else found.advice()

    pixels = torch.full((10, 2), 200, dtype=torch.uint8)
    assert (told(pixels) or "").startswith(
        "The inputs are bytes as large as 200, and few models learn from these; give scaling="
    )
    assert told(pixels, lambda x: x / 255) is None
    assert told(pixels // 200) is None  # a mask


def test_large_floats(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, nn.Linear(2, 2), FAR, Y) == INPUTS
    assert said(capsys, nn.Linear(2, 2), FAR.double().numpy(), Y) == INPUTS
    assert said(capsys, nn.Linear(2, 2), FAR / 10, Y) == ""
    assert said(capsys, nn.Linear(2, 2), FAR, Y, scaling=learn("standard", FAR)) == ""
    assert said(capsys, nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), FAR, Y) == ""


def test_large_targets_of_a_distance(capsys: pytest.CaptureFixture[str]) -> None:
    y = torch.full((10, 1), 200_000.0)
    y[0] = -1.0
    assert said(capsys, nn.Linear(2, 1), FAR, y) == INPUTS + TARGETS
    assert said(capsys, nn.Linear(2, 1), FAR / 240, y, loss=nn.L1Loss()) == TARGETS
    assert said(capsys, nn.Linear(2, 1), FAR / 240, y, loss=lambda o, t: (o - t / 1e5).abs().mean()) == ""
    assert of_targets([Y + 100], Objective.of(None, Y)) is None  # classes


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.EmbeddingBag(300, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.words(x.long()))


def test_numbers_of_words_are_as_large_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, Bag(), FAR.abs().floor(), Y) == ""
    assert said(capsys, Bag(), FAR.abs().long(), Y) == ""


def test_one_of_several_inputs() -> None:
    told = of_inputs(Several([FAR / 240, FAR], ("size", "price")))
    assert told is not None
    assert told.startswith("The numbers of price are as large as 240; few models learn from these. Scale")
    assert of_inputs(Several([FAR / 240, Y + 1000])) is None


def test_what_is_no_number_is_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert of_inputs(torch.tensor([[1.0, torch.nan, torch.inf]])) is None
    assert of_inputs(torch.empty(3, 0)) is None


@pytest.mark.parametrize("kind", ["standard", "unit"])
def test_a_scaling_by_name_is_told_where_to_come_from(kind: str) -> None:
    with pytest.raises(InputError) as caught:
        surefoot.fit(nn.Linear(2, 2), (FAR, Y), scaling=kind)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"The scaling must be a function of the inputs, not '{kind}'; give"
        f" scaling=surefoot.train.data.learn('{kind}', x), where x are the training inputs."
    )


def test_it_keeps_no_numbers_but_those_that_train() -> None:
    rows = feed((np.ones((4, 2), ">f8"), np.zeros(4)), 2, device=torch.device("cpu"))
    assert rows.advice is not None
    assert rows.advice.args[0].dtype == torch.float32  # type: ignore[attr-defined]
