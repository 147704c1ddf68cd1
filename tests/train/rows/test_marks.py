from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from surefoot.train.rows import marks
from surefoot.train.rows.identity import mark
from surefoot.train.rows.marks import of_dataset, of_loader

COUNT = itertools.count()
X, Y = torch.arange(6000.0).reshape(3000, 2), torch.arange(3000)


class Squares(Dataset[Any]):
    """Rows that are made when they are read."""

    def __init__(self, change: Callable[[int], Any] = lambda i: i**2, n: int = 50) -> None:
        self.change, self.n = change, n
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        self.read.append(i)
        return self.change(i), i % 2


def told(dataset: Dataset[Any]) -> str:
    return of_dataset(dataset, torch.float32)()


def test_tensors_of_a_data_set_are_told_as_tensors_are() -> None:
    assert told(TensorDataset(X, Y)) == mark(X, Y)
    assert told(TensorDataset(X.double(), Y)) == mark(X, Y)
    assert told(TensorDataset(X + 1, Y)) != mark(X, Y)


def test_rows_of_a_subset() -> None:
    rows = TensorDataset(X, Y)
    some = Subset(rows, range(5, 2500))
    assert told(some) == mark(X[5:2500], Y[5:2500])
    assert told(Subset(rows, [*range(6, 2501)])) != told(some)
    assert told(Subset(some, [3, -1])) == mark(X[[8, 2499]], Y[[8, 2499]])


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i**2,
        lambda i: torch.full((2,), float(i), dtype=torch.bfloat16),
        lambda i: np.full(2, i),
        lambda i: np.float32(i),
        lambda i: {"a": [str(i), None], "b": float("nan")},
    ],
)
def test_some_rows_of_any_other_are_read(change: Callable[[int], Any]) -> None:
    rows = Squares(change)
    said = told(rows)
    assert said.startswith("50 rows, checksum ")
    assert rows.read == [i for i in (0, 16, 32, 49) for _ in range(2)]
    assert said == told(Squares(change))
    assert said != told(Squares(lambda i: change(i + 1)))


@pytest.mark.parametrize(
    "change",
    [
        lambda i: torch.rand(2) < 0,  # the same each time, by chance
        lambda i: random.random() < 0,
        lambda i: np.random.rand() < 0,
        lambda i: next(COUNT),
        lambda i: object(),
        lambda i: 1 / 0,
    ],
)
def test_rows_that_cannot_be_told_are_counted(change: Callable[[int], Any]) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore
    assert told(Squares(change)) == "50 rows"
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tobytes())  # type: ignore


def test_one_that_draws_by_itself_is_not_read() -> None:
    rows = Squares()
    rows.steps = [{"generator": np.random.default_rng(0)}]  # type: ignore[attr-defined]
    assert (told(rows), told(Subset(rows, [1, 2])), rows.read) == ("50 rows", "2 rows", [])


def test_a_loader_is_told_by_its_sampler_and_its_rows() -> None:
    rows = TensorDataset(X, Y)
    loader = DataLoader(rows, 100, shuffle=True)
    assert of_loader(loader, 30, torch.float32, True)() == f"30 batches by RandomSampler of {mark(X, Y)}"
    assert of_loader(loader, 30, torch.float32, False)() == "30 batches by RandomSampler"
    own: Any = DataLoader(Squares(), batch_sampler=[[1], [2, 3]])
    assert of_loader(own, 2, torch.float32, True)().startswith("2 batches by list of 50 rows, checksum ")


def test_a_loader_of_what_has_no_length() -> None:
    class Boundless(Dataset[Any]):
        def __getitem__(self, i: int) -> Any:
            return i, i

    class Unsized(Boundless):
        def __len__(self) -> int:
            raise NotImplementedError

    for kind in (Boundless, Unsized):
        loader: Any = DataLoader(kind(), batch_sampler=[[1], [2, 3]])
        assert of_loader(loader, 2, torch.float32, True)() == "2 batches by list"


def test_few_rows_are_all_read() -> None:
    rows = Squares(n=3)
    assert told(rows).startswith("3 rows, checksum ")
    assert rows.read == [0, 0, 1, 1, 2, 2]
    assert marks._READ > 3
