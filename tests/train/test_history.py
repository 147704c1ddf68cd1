from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from surefoot import SGD
from surefoot.train.history import History
from surefoot.train.loop import fit
from surefoot.train.progress import Progress
from surefoot.train.run import Run


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
    return SGD(params, lr=1e-12)


@pytest.mark.parametrize("form", ["tensors", "loader"])
@pytest.mark.parametrize("name", ENTROPIES)
def test_a_training_loss_is_weighed_as_a_validation_loss_is(name: str, form: str) -> None:
    x, y = rows(7 if name == "another number" else -100)
    train: Any = (x, y) if form == "tensors" else DataLoader(TensorDataset(x, y), 7)
    run = fit(nn.Linear(4, 2), train, (x, y), optimizer=still, loss=ENTROPIES[name], batch_size=7, epochs=1,
              progress=False)  # fmt: skip
    assert run.epochs[0]["train_loss"] == pytest.approx(run.epochs[0]["valid_loss"], rel=1e-6)


def test_what_a_checkpoint_held_before_there_were_weights_counts_as_its_rows() -> None:
    history = History(Run("old", "loss"), Progress(1, 8, None, shown=False), 2)
    history.load_state_dict({"step": 1, "loss": 6.0, "rows": 4, "seen": [], "seconds": 1, "evaluating": 0})
    history.begin(1)
    history.trained(torch.tensor(2.5), 0.1, torch.zeros(4), torch.zeros(4))
    history.end(0.1)
    assert history.run.epochs[0]["train_loss"] == 2.0
