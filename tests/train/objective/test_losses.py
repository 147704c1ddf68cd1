"""What is told of a loss: a function, a partial of one, a module."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import surefoot
from surefoot.train.objective.losses import (
    class_weights,
    is_binary,
    is_distance,
    of_classes,
    of_squares,
    setting,
    weigher,
)

WEIGHT = torch.tensor([1.0, 3.0])
BCE = functional.binary_cross_entropy_with_logits


@pytest.mark.parametrize(
    ("told", "losses"),
    [
        (is_distance, [nn.L1Loss(), functional.huber_loss, partial(functional.huber_loss, delta=2.0)]),
        (is_binary, [nn.BCEWithLogitsLoss(), BCE, partial(BCE, reduction="mean")]),
        (of_classes, [nn.NLLLoss(), functional.nll_loss, partial(functional.nll_loss, weight=WEIGHT)]),
        (of_squares, [nn.MSELoss(), functional.mse_loss, partial(functional.mse_loss, reduction="mean")]),
    ],
)
def test_a_partial_is_told_as_what_it_fills_in(told: Any, losses: list[Any]) -> None:
    assert all(told(loss) for loss in losses)
    assert not told(lambda output, target: output.sum())
    assert not told(partial(torch.dot))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(WEIGHT, ignore_index=1),
        partial(functional.cross_entropy, weight=WEIGHT, ignore_index=1),
        partial(partial(functional.cross_entropy, weight=WEIGHT), ignore_index=1),
    ],
)
def test_the_settings_of_a_module_and_of_a_partial(loss: Any) -> None:
    assert setting(loss, "ignore_index") == 1
    assert setting(loss, "no_such", 7) == 7
    assert class_weights(loss) is WEIGHT
    weigh = weigher(loss)
    assert weigh is not None
    assert weigh(torch.tensor([0, 1, 0])) == 2


class Own(nn.Module):
    """Its attributes are called as a partial's are."""

    keywords, func = "x", "y"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output[:, 0] - target).square().mean()


def test_a_module_with_names_of_a_partial_s_is_a_loss_like_any_other() -> None:
    x, y = torch.randn(8, 3), torch.randn(8)
    assert surefoot.fit(nn.Linear(3, 1), (x, y), loss=Own(), epochs=1, progress=False).status == "finished"
    assert not any(told(Own()) for told in (is_distance, is_binary, of_classes, of_squares))
