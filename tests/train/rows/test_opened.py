"""What looks at a loader leaves no trace in what the run gets from it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from surefoot import SGD, fit
from surefoot.errors import InputError
from surefoot.train.interrupt import leaving_ctrl_c
from surefoot.train.rows import opened
from surefoot.train.rows.feed import feed
from surefoot.train.run import Interrupted

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
CPU = torch.device("cpu")


class Counting:
    """A sampler whose order goes by how often it was asked for one."""

    epoch = 0

    def __len__(self) -> int:
        return len(X)

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        yield from torch.randperm(len(X), generator=torch.Generator().manual_seed(self.epoch)).tolist()


class Told(Counting):
    """A sampler whose order goes by what it is told, as torch's DistributedSampler."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.told.append(epoch)
        self.epoch = 10 * epoch

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(len(X), generator=torch.Generator().manual_seed(self.epoch)).tolist()


class Stream(IterableDataset[Any]):
    """Rows that are read once, by however many epochs."""

    def __init__(self, epochs: int) -> None:
        self.rows = iter([(X[i], Y[i]) for i in range(len(X))] * epochs)

    def __len__(self) -> int:
        return len(X)

    def __iter__(self) -> Iterator[Any]:
        yield from (row for _, row in zip(range(len(X)), self.rows, strict=False))


class Noisy(Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, row: int) -> Any:
        return X[row] + torch.randn(4), Y[row]


def own(rows: list[Any]) -> Any:
    return default_collate(rows)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


LOADERS: dict[str, Callable[[], DataLoader[Any]]] = {
    "stream": lambda: DataLoader(Stream(2), 8),
    "counting": lambda: DataLoader(TensorDataset(X, Y), 8, sampler=Counting()),
    "drawing": lambda: DataLoader(Noisy(), 8, shuffle=True, collate_fn=own),
    "generator": lambda: DataLoader(Noisy(), 8, shuffle=True, collate_fn=own, generator=generator()),
    "workers": lambda: DataLoader(
        Noisy(), 8, shuffle=True, collate_fn=own, generator=generator(), num_workers=2
    ),
    "persistent": lambda: DataLoader(
        Noisy(),
        8,
        shuffle=True,
        collate_fn=own,
        generator=generator(),
        num_workers=2,
        persistent_workers=True,
    ),
}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 2))


def losses(loader: DataLoader[Any], valid: DataLoader[Any] | None = None) -> list[float]:
    """Those of two epochs of a plain loop."""
    net = model()
    optimizer = SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    torch.manual_seed(0)
    found = []
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            found.append(loss.item())
        for _ in valid or ():
            pass
    return found


@pytest.mark.parametrize("name", LOADERS)
def test_a_run_is_the_plain_loop(name: str) -> None:
    run = fit(model(), LOADERS[name](), epochs=2, threads=1, progress=False)
    assert [step["loss"] for step in run.steps] == losses(LOADERS[name]())


@pytest.mark.parametrize("name", LOADERS)
def test_so_it_is_with_a_loader_to_validate_on(name: str) -> None:
    valid = LOADERS[name]()
    run = fit(model(), LOADERS["drawing"](), valid, metric="loss", epochs=2, threads=1, progress=False)
    assert [step["loss"] for step in run.steps] == losses(LOADERS["drawing"](), LOADERS[name]())
    if name == "counting":
        assert valid.sampler.epoch == 2  # type: ignore[attr-defined]


class Stopped:
    """The cross entropy, which asks to stop at a step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        self.left -= output.requires_grad
        if not self.left:
            signal.raise_signal(signal.SIGINT)
        return functional.cross_entropy(output, y)


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("name", ["stream", "counting", "drawing", "generator"])
def test_a_run_that_stopped_in_its_first_epoch_goes_on(name: str, step: int, tmp_path: Path) -> None:
    options: Any = {"epochs": 2, "threads": 1, "progress": False, "out": tmp_path, "resume": True}
    with pytest.raises(Interrupted):
        fit(model(), LOADERS[name](), loss=Stopped(step), **options)
    run = fit(model(), LOADERS[name](), loss=Stopped(-1), **options)
    assert [step["loss"] for step in run.steps] == losses(LOADERS[name]())


@pytest.mark.parametrize("step", [2, 10, 13])
def test_samplers_are_told_the_epoch_also_by_a_run_that_goes_on(step: int, tmp_path: Path) -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(TensorDataset(X, Y), 8, sampler=Told())

    options: Any = {"epochs": 2, "threads": 1, "progress": False}
    whole = fit(model(), loader(), **options)
    options |= {"out": tmp_path, "resume": True}
    with pytest.raises(Interrupted):
        fit(model(), loader(), loss=Stopped(step), **options)
    again = loader()
    run = fit(model(), again, loss=Stopped(-1), **options)
    assert [step["loss"] for step in run.steps] == [step["loss"] for step in whole.steps]
    assert again.sampler.told[-1] == 1  # type: ignore[attr-defined]


class Lectures(Noisy):
    """Rows that know the epoch."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.told.append(epoch)


def test_whatever_knows_epochs_is_told_once_each() -> None:
    rows, order = Lectures(), Told()
    found = feed(DataLoader(rows, 8, sampler=order), 8, device=CPU)
    [*found.epoch(1)], [*found.epoch(2)]
    assert rows.told == order.told == [0, 1]
    rows = Lectures()
    found = feed(rows, 8, device=CPU)
    [*found.epoch(1)], [*found.epoch(2)]
    assert rows.told == [0, 1]
    rows = Lectures()
    for form in (rows, DataLoader(rows, 8, sampler=Told())):
        [*feed(form, 8, device=CPU, training=False).epoch(2)]  # validations are of no epoch
    assert rows.told == []


def test_targets_to_validate_on_that_only_a_validation_sees() -> None:
    valid = DataLoader(TensorDataset(X, Y.float()), 8, sampler=Counting())
    with pytest.raises(InputError, match=("to train on are classes, but those to validate on are measured")):
        fit(model(), (X, Y), valid, epochs=1, progress=False)


def test_an_error_that_is_kept_keeps_no_workers() -> None:
    loader = DataLoader(Noisy(), 8, collate_fn=own, num_workers=1)
    with pytest.raises(InputError, match="Unknown loss") as kept:
        fit(model(), loader, loss="cross", progress=False)
    assert kept.value.__traceback__ is not None
    assert not multiprocessing.active_children()
    assert not opened._open


def test_a_loader_without_a_batch() -> None:
    class Nothing(Stream):
        def __iter__(self) -> Iterator[Any]:
            return iter(())

    with pytest.raises(InputError, match="The DataLoader's length is 8 batches, but it yielded 0"):
        fit(model(), DataLoader(Nothing(1), 8), progress=False)
    assert not opened._open


def test_what_was_opened_is_not_gone_on_with_from_other_random_states() -> None:
    loader = LOADERS["drawing"]()
    torch.manual_seed(0)
    found = feed(loader, 8, device=CPU)
    torch.manual_seed(1)
    batches = [x for x, _ in found.epoch(1)]
    torch.manual_seed(1)
    assert all(map(torch.equal, batches, [x for x, _ in loader]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked on Windows")
def test_a_process_that_is_forked_leaves_ctrl_c_to_this_one() -> None:
    with leaving_ctrl_c():
        if not (child := os.fork()):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
