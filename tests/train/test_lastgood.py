from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.train.lastgood import LastGood


@pytest.mark.parametrize(
    ("bad", "kept"),
    [(1, 0), (2, 0), (101, 0), (102, 100), (201, 100), (202, 200), (250, 200)],
)
def test_the_newest_weights_whose_own_loss_was_finite(bad: int, kept: int) -> None:
    model = nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, 0)
    good = LastGood(model)
    for step in range(1, bad):
        torch.nn.init.constant_(model.weight, step)  # the weights after that many steps
        if step % 10 == 0:
            good.offer(step)
    assert good.restore(bad) == kept
    assert model.weight.item() == kept


def test_buffers_come_back_too() -> None:
    model = nn.BatchNorm1d(2)
    good = LastGood(model)
    model(torch.randn(8, 2))
    good.restore(1)
    assert model.running_mean is not None
    assert torch.equal(model.running_mean, torch.zeros(2))
