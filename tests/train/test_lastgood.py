from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from surefoot.train.fitting import fit
from surefoot.train.folder import saved
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


def test_a_resumed_run_copies_at_the_same_steps() -> None:
    model = nn.Linear(1, 1)
    good = LastGood(model, 150)
    for step in range(160, 300, 10):
        good.offer(step)
    assert good.restore(261) == 200


def test_buffers_come_back_too() -> None:
    model = nn.BatchNorm1d(2)
    good = LastGood(model)
    model(torch.randn(8, 2))
    good.restore(1)
    assert model.running_mean is not None
    assert torch.equal(model.running_mean, torch.zeros(2))


def test_what_a_loss_holds_comes_back_with_them() -> None:
    model, loss = nn.Linear(1, 1), nn.BatchNorm1d(2)
    good = LastGood(model, loss=loss)
    loss(torch.randn(8, 2))
    good.restore(1)
    assert loss.num_batches_tracked == 0


class Remembers(nn.Linear):
    """Keeps what is no tensor, as get_extra_state allows."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.seen: dict[str, Any] = {"calls": 0, "mean": torch.zeros(2)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen["calls"] += 1
        return super().forward(x)

    def get_extra_state(self) -> dict[str, Any]:
        return self.seen

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.seen = dict(state)


def test_what_is_no_tensor_comes_back_too(tmp_path: Path) -> None:
    model = Remembers()
    good = LastGood(model)
    model(torch.zeros(1, 3))
    good.restore(1)
    assert model.seen["calls"] == 0
    x, y = torch.randn(20, 3), torch.randint(2, (20,))
    run = fit(model, (x, y), (x, y), epochs=2, out=tmp_path / "run", progress=False)
    assert run.folder is not None
    other = Remembers()
    for name in (saved.LAST, saved.BEST):
        saved.load(run.folder, other, name)
        assert other.seen["calls"] > 0
        assert torch.equal(other.seen["mean"], torch.zeros(2))
    assert torch.equal(other.weight, model.weight) or run.best != run.epochs[-1]


@pytest.mark.parametrize("moves", [0, 1, 150, 250])
def test_whether_the_weights_ever_moved(moves: int) -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    good = LastGood(model)
    for step in range(1, 301):
        model[1].running_mean.add_(1)  # of which no step is the cause
        if step == moves:
            torch.nn.init.constant_(model[0].weight, 7)
        good.offer(step)
    assert good.still == (moves == 0)
    torch.nn.init.constant_(model[0].bias, 7)
    assert not good.still
