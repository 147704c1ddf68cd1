from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import surefoot.train.looks.material
from surefoot.train.config import GIVEN, Config
from surefoot.train.looks.material import Material, material
from surefoot.train.objective.losses import Loss

X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 2


def looked_at(
    valid: object = None,
    batch_size: int = 4,
    metric: str | None = None,
    loss: Loss | None = None,
    accumulate: int = 1,
) -> Material:
    model, config = nn.Linear(2, 2), Config(data=GIVEN, batch_size=batch_size, accumulate=accumulate)
    place = torch.device("cpu")
    return material(
        model,
        (X, Y),
        valid,
        config,
        loss=loss,
        metric=metric,
        scaling=None,
        device=place,
    )


def test_as_many_training_rows_are_compared_as_are_validated_on() -> None:
    found = looked_at((X[:3], Y[:3]))
    assert found.compared is not None
    assert torch.cat([x for x, _ in found.compared()]).equal(X[:3])


def test_a_step_is_tried_on_a_batch_from_which_something_is_learned() -> None:
    model, config, place = nn.Linear(2, 2), Config(data=GIVEN, batch_size=4), torch.device("cpu")
    options: Any = {"loss": None, "metric": None, "scaling": None, "device": place}
    for ignored, first in ((slice(0, 3), 0), (slice(0, 4), 4), (slice(0, 8), None)):
        y = Y.clone()
        y[ignored] = -100
        batch = material(model, (X, y), None, config, **options).batch(4)
        assert (None if batch is None else int(batch[0][0, 0]) // 2) == first


def test_nothing_is_compared_without_a_metric_or_rows_to_validate_on() -> None:
    assert looked_at().compared is None
    assert looked_at((X[:3], Y[:3]), metric="loss").compared is None


def test_what_tells_it_from_other_material() -> None:
    one, other = looked_at((X[:3], Y[:3])), looked_at((X[:4], Y[:4]))
    assert [*one.marks] == [
        "rows to train on",
        "loss",
        "scaling",
        "metric",
        "rows to validate on",
    ]
    same = {what: mark() == other.marks[what]() for what, mark in one.marks.items()}
    assert [what for what, alike in same.items() if not alike] == ["rows to validate on"]


def test_a_full_batch_or_none() -> None:
    found = looked_at()
    batch = found.batch(4)
    assert batch is not None
    assert batch[0].shape == (4, 2)
    assert found.batch(11) is None


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(reduction="sum"), partial(functional.cross_entropy, reduction="sum")]
)
def test_a_loss_that_is_a_sum_is_told(loss: Loss) -> None:
    with pytest.warns(UserWarning, match=r"^The loss is a sum, .*; with reduction='mean' they are\.$"):
        looked_at((X[:3], Y[:3]), loss=loss)
    looked_at((X[:3], Y[:3]), loss=loss, accumulate=2)  # there the first step warns
    looked_at((X[:3], Y[:3]), loss=nn.CrossEntropyLoss())


def test_what_a_step_is_tried_on_is_a_copy() -> None:
    """A model that writes into its inputs, as ReLU(inplace=True) does, would change the caller's rows."""
    before = X.clone(), Y.clone()
    for size in (4, 10):
        batch = looked_at(batch_size=size).batch(size)
        assert batch is not None
        for t in batch:
            t.fill_(7)
    assert X.equal(before[0])
    assert Y.equal(before[1])


def test_no_single_row_is_left_to_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one alone a spread is NaN, and squeeze() makes no row."""
    monkeypatch.setattr(surefoot.train.looks.material, "at_once", lambda *_: 4)
    dataset = TensorDataset(X[:9], Y[:9])
    for valid in ((X[:9], Y[:9]), dataset):
        found = looked_at(valid)
        assert found.valid is not None
        assert [len(x) for x, _ in found.valid.epoch(1)] == [3, 3, 3]
    assert found.compared is None or [len(x) for x, _ in found.compared()] == [3, 3, 3]
