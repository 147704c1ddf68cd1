from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train.fitting import fit
from surefoot.train.history import History
from surefoot.train.progress import Progress
from surefoot.train.run import Run, RunDiverged
from surefoot.train.steps.notfinite import NotFinite


def rows(ignored: int = -100) -> tuple[Tensor, Tensor]:
    """Two classes, one of them rare, and every third row of neither."""
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 1).long()
    y[::3] = ignored
    return x, y


WEIGHTS = torch.tensor([1.0, 20.0])
ENTROPIES: dict[str, Any] = {
    "plain": None,
    "weights": nn.CrossEntropyLoss(WEIGHTS),
    "another number": nn.CrossEntropyLoss(ignore_index=7),
    "partial": partial(functional.cross_entropy, weight=WEIGHTS, label_smoothing=0.1),
    "own": lambda output, target: functional.cross_entropy(output, target),
}


def still(params: Any) -> SGD:
    """Steps that leave the weights as they are, to rounding."""
    return SGD(params, lr=0.0)


@pytest.mark.parametrize("form", ["tensors", "loader"])
@pytest.mark.parametrize("name", ENTROPIES)
def test_a_training_loss_is_weighed_as_a_validation_loss_is(name: str, form: str) -> None:
    x, y = rows(7 if name == "another number" else -100)
    train: Any = (x, y) if form == "tensors" else DataLoader(TensorDataset(x, y), 7)
    run = fit(nn.Linear(4, 2), train, (x, y), optimizer=still, loss=ENTROPIES[name], batch_size=7, epochs=1,
              progress=False)  # fmt: skip
    assert run.epochs[0]["train_loss"] == pytest.approx(run.epochs[0]["valid_loss"], rel=1e-6)


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("form", ["tensors", "loader"])
@pytest.mark.parametrize("name", ["plain", "weights", "own"])
def test_a_batch_whose_targets_are_all_ignored_is_no_divergence(
    name: str, form: str, accumulate: int, tmp_path: Path
) -> None:
    """As in a plain loop, where its gradient is 0; momentum goes on."""
    if name == "own" and accumulate > 1:
        return  # parts of such a loss weigh as their rows
    x, y = rows()
    y[:16] = y[40:48] = -100
    loss, nets = ENTROPIES[name] or functional.cross_entropy, []
    for _ in range(2):
        torch.manual_seed(0)
        nets.append(nn.Linear(4, 2))
    train: Any = (x, y) if form == "tensors" else DataLoader(TensorDataset(x, y), 8)
    run = fit(nets[0], train, (x, y), loss=ENTROPIES[name], optimizer=lambda p: SGD(p, lr=0.1, momentum=0.9),
              batch_size=8, accumulate=accumulate, shuffle=False, epochs=2, out=tmp_path / "run",
              progress=False)  # fmt: skip
    by_hand = SGD(nets[1].parameters(), lr=0.1, momentum=0.9)
    for xs, ys in [*zip(x.split(8), y.split(8), strict=True)] * 2:
        by_hand.zero_grad()
        loss(nets[1](xs), ys).backward()
        by_hand.step()
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5 * (accumulate > 1), atol=1e-6 * (accumulate > 1))
    assert [record["step"] for record in run.steps if record["loss"] is None] == [1, 2, 6, 14, 15, 19]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["loss"] is None


def test_a_loss_that_is_nan_of_itself_is_a_divergence_still() -> None:
    x, y = rows()
    y[:16] = -100
    loss = lambda output, target: output.sum() * math.nan  # noqa: E731
    with pytest.raises(RunDiverged, match="became NaN at step 3 "):
        fit(nn.Linear(4, 2), (x, y), loss=loss, shuffle=False, batch_size=8, progress=False)


def test_an_epoch_in_which_nothing_is_learned_is_told() -> None:
    x, y = rows()
    train: Any = DataLoader(TensorDataset(x, torch.full_like(y, -100)), 8)
    with pytest.raises(InputError, match="The loss ignores all targets of epoch 1, so nothing is learned"):
        fit(nn.Linear(4, 2), train, progress=False)


def test_rows_to_validate_on_that_the_loss_ignores_are_not_called_a_divergence() -> None:
    x, y = rows()
    valid: Any = DataLoader(TensorDataset(x, torch.full_like(y, -100)), 8)
    with pytest.raises(InputError) as caught:
        fit(nn.Linear(4, 2), (x, y), valid, epochs=1, progress=False)
    assert str(caught.value) == "The loss ignores all targets of the validation rows."


def test_a_step_that_learns_nothing_does_not_show_that_weights_are_good() -> None:
    history = History(Run("run", "loss"), Progress(1, 9, None, shown=False), 9, lambda y: (y >= 0).sum())
    history.begin(1)
    x, y = torch.zeros(4, 2), torch.zeros(4)
    for loss, target in ((1.0, y), (math.nan, y - 1), (math.nan, y - 1), (math.nan, y)):
        history.trained(torch.tensor(loss), 0.1, x, target)
    with pytest.raises(NotFinite) as caught:
        history.fetch()
    assert (caught.value.step, caught.value.bad) == (4, 2)
    assert [record["loss"] for record in history.run.steps] == [1.0, None, None]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("out", [False, True])
def test_a_schedule_that_makes_lr_nan_is_blamed_and_spoils_no_weights(
    value: float, out: bool, tmp_path: Path
) -> None:
    x, y = rows(0)
    model = nn.Linear(4, 2)
    folder = tmp_path / "run" if out else None
    with pytest.raises(RunDiverged) as caught:
        fit(model, (x, y), (x, y), batch_size=50, epochs=20, out=folder, progress=False,
            schedule=lambda o: LambdaLR(o, lambda t: 1.0 if t < 6 else value))  # fmt: skip
    assert str(caught.value) == (
        f"The lr became {'NaN' if value != value else 'infinite'} at step 7 (epoch 4); check the schedule, or"
        f" whatever else changes lr; the model of step 0 is kept{f' in {folder}' if out else ''}."
    )
    assert all(p.isfinite().all() for p in model.parameters())
    assert [record["lr"] for record in caught.value.run.steps] == [0.05] * 6
    if folder is not None:
        assert Run.load(folder).status == "diverged"


def test_an_lr_that_is_nan_in_a_later_group_is_blamed_too() -> None:
    net = nn.Linear(2, 2)
    groups = [{"params": [net.weight]}, {"params": [net.bias]}]
    rates = [lambda step: 1.0, lambda step: math.nan if step else 1.0]
    with pytest.raises(RunDiverged, match="The lr became NaN at step 2 "):
        fit(
            net,
            (torch.ones(8, 2), torch.zeros(8).long()),
            epochs=1,
            batch_size=4,
            optimizer=torch.optim.SGD(groups, lr=0.1),
            schedule=lambda made: LambdaLR(made, rates),
            progress=False,
        )
    assert bool(net.bias.isfinite().all())
