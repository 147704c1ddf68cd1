"""The targets of a Dataset in memory, of which a Subset may pick some in many ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from surefoot import fit
from surefoot.errors import InputError
from surefoot.train.rows import held
from surefoot.train.rows.held import targets_of

CPU = torch.device("cpu")
X, Y = torch.randn(300, 2), torch.arange(300) % 3


def targets(dataset: Dataset[Any]) -> Tensor | None:
    parts = targets_of(dataset, torch.float32, CPU)
    return None if parts is None else torch.cat(list(parts()))


PICKS: list[Any] = [
    [3, 0, -1],
    range(1, 9, 2),
    np.array([3, 0, 1, 1], np.int16),
    np.array([3, 0, 1, 1], np.uint16),
    np.array([3, 0, 1, 1], np.uint64),
    np.arange(9)[::-2],
    np.array([1, 0, 1, 5], np.uint8),
    torch.tensor([3, 0, 1], dtype=torch.int16),
    [torch.tensor(4), np.int8(2)],
]


@pytest.mark.parametrize("indices", PICKS, ids=lambda p: f"{type(p).__name__}-{getattr(p, 'dtype', '')}")
def test_indices_of_every_kind_pick_the_rows_that_training_reads(indices: Any) -> None:
    data = Subset(TensorDataset(X, Y), indices)
    expected = torch.stack([Y[int(i)] for i in indices])
    found = targets(data)
    assert found is not None
    assert torch.equal(found, expected)
    again = targets(Subset(data, [1, 0]))
    assert again is not None
    assert torch.equal(again, expected[[1, 0]])
    assert fit(nn.Linear(2, 3), data, epochs=1, progress=False).status == "finished"


MASK = torch.tensor([1, 0], dtype=torch.uint8)


@pytest.mark.parametrize(
    "indices", [np.array([True, False]), MASK, [[1], [2]], [0.0, 1.0], [0, 300], [2**70]]
)
def test_other_indices_are_left_to_training(indices: Any) -> None:
    assert targets(Subset(TensorDataset(X, Y), indices)) is None


def test_targets_are_looked_at_in_parts_of_which_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_AT_ONCE", 40)
    masks = torch.zeros(300, 4, dtype=torch.uint8)
    for data in (TensorDataset(X, masks), Subset(TensorDataset(X, masks), range(250))):
        parts = targets_of(data, torch.float32, CPU)
        assert parts is not None
        sizes = [tuple(part.shape) for part in parts()]
        assert sizes == [(10, 4)] * (len(data) // 10)
        assert {part.dtype for part in parts()} == {torch.int64}
    as_they_are = torch.randn(300, 4)
    parts = targets_of(TensorDataset(X, as_they_are), torch.float32, CPU)
    assert parts is not None
    assert next(parts()).data_ptr() == as_they_are.data_ptr()


def test_what_is_wrong_in_a_later_part_is_told_with_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_AT_ONCE", 40)
    y = Y.clone()
    y[123] = 7
    with pytest.raises(InputError, match=r"^The target of row 123 is 7, but the model has outputs for the"):
        fit(nn.Linear(2, 3), TensorDataset(X, y), progress=False)
    with pytest.raises(InputError, match=r"^All targets to train on are -100, which the loss ignores\.$"):
        fit(nn.Linear(2, 3), TensorDataset(X, torch.full_like(Y, -100)), progress=False)
    late = torch.where(torch.arange(300) < 290, -100, Y)
    assert fit(nn.Linear(2, 3), TensorDataset(X, late), epochs=1, progress=False).status == "finished"
    loss = nn.CrossEntropyLoss(torch.tensor([0.0, 0.0, 1.0]))
    with pytest.raises(InputError, match=r"with weight 0 in the loss \(0, 1\), so it is"):
        fit(nn.Linear(2, 3), TensorDataset(X, (torch.arange(300) > 150).long()), loss=loss, progress=False)
    shares = torch.rand(300, 2)
    with pytest.raises(InputError, match=r"the targets are floats of shape \(300, 2\)\. For class"):
        fit(nn.Linear(2, 3), TensorDataset(X, shares), loss=nn.CrossEntropyLoss(), progress=False)


def test_targets_of_no_plain_layout_are_left_to_training() -> None:
    assert targets(TensorDataset(X, torch.eye(300).to_sparse())) is None
