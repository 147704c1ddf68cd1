"""By how many threads fit takes its steps."""

from __future__ import annotations

import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from surefoot.errors import InputError
from surefoot.train.fitting import fit
from surefoot.train.run import Interrupted
from surefoot.train.steps import sharable, threads
from surefoot.train.steps.shared import Pace, Way

pytestmark = pytest.mark.usefixtures("one_thread")


class Noting(nn.Module):
    """Notes by how many threads it is trained."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers, self.seen = nn.Sequential(nn.Linear(8, width), nn.Linear(width, 3)), set()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.add(torch.get_num_threads())
        return self.layers(x)


X, Y = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3
LARGE = 100_000  # units


def _trained(now: int, rows: Any = (X, Y), width: int = 8, **options: Any) -> set[int]:
    """By how many threads fit takes the steps, where torch is set to `now`."""
    net = Noting(width)
    with threads.by(now):
        fit(net, rows, **{"epochs": 1, "progress": False} | options)
        assert torch.get_num_threads() == now
    return net.seen


@pytest.mark.filterwarnings("ignore:The training loss rose")
def test_fit_takes_small_steps_by_one_thread_and_others_by_torch_s() -> None:
    assert _trained(2) == {1}
    assert _trained(2, width=LARGE) == {2}
    assert _trained(1, width=LARGE) == {1}
    # all rows in a batch: no more are in it
    assert _trained(2, batch_size=10**9) == {1}
    assert _trained(2, batch_size=64, accumulate=64) == {1}
    assert _trained(2, valid=(X, Y)) == {1}
    assert _trained(2, valid=(X.repeat(30_000, 1), Y.repeat(30_000)), validate_every="step") == {2}


@pytest.mark.filterwarnings("ignore:The training loss rose")
def test_fit_takes_them_by_as_many_as_it_is_told() -> None:
    assert _trained(1, threads=2) == {2}
    assert _trained(2, width=LARGE, threads=1) == {1}


def _together(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    return [torch.stack(part) for part in zip(*pairs, strict=True)]


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ((X.numpy(), Y.numpy()), 1),
        (TensorDataset(X, Y), 1),
        (DataLoader(TensorDataset(X, Y), 4), 1),
        (DataLoader(TensorDataset(X, Y), 4, collate_fn=_together), 2),  # no row is at hand
    ],
)
def test_whatever_holds_the_rows(rows: Any, taken: int) -> None:
    assert _trained(2, rows) == {taken}
    assert _trained(2, rows, valid=rows) == {taken}


def test_tokens_are_counted_as_they_are() -> None:
    net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), Noting(3))
    net[2].layers[0] = nn.Linear(8, 3)
    with threads.by(2):
        fit(net, (Y.reshape(20, 2), Y[:20]), epochs=1, progress=False)
    assert net[2].seen == {1}


def test_up_to_torch_s_number_share_a_small_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[list[int]] = []

    def noted(step: Any, pace: Pace) -> Any:
        shared.append(sorted({way.threads for way in pace.ways}))
        return step

    monkeypatch.setattr(sharable, "Shared", noted)
    weights = []
    for now, told in [(2, None), (1, None), (2, 1)]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        with threads.by(now):
            fit(net, (X, Y), epochs=2, progress=False, threads=told)
        weights.append([*net.parameters()])
    assert shared == [[1, 2]]
    assert all(map(torch.equal, weights[0], weights[1]))
    assert all(map(torch.equal, weights[0], weights[2]))


def test_torch_s_number_comes_back_whatever_happens() -> None:
    class Fails(Noting):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                assert torch.get_num_threads() == 1
                raise RuntimeError("no more")
            return super().forward(x)

    with threads.by(2):
        for options in ({}, {"threads": 1}):
            with pytest.raises(RuntimeError, match="no more"):
                fit(Fails(), (X, Y), progress=False, **options)
            assert torch.get_num_threads() == 2
        with pytest.raises(InputError, match="batch"):
            fit(Noting(), (X, Y), progress=False, threads=1, accumulate=100)
        assert torch.get_num_threads() == 2


def test_a_thread_that_began_during_a_training_leaves_the_process_s_number() -> None:
    found: list[int] = []

    def late() -> None:
        found.append(torch.get_num_threads())
        began.set()
        fit(Noting(), (X, Y), epochs=1, progress=False)
        found.append(torch.get_num_threads())

    class Starts(Noting):
        def forward(self, x: Tensor) -> Tensor:
            if self.training and not began.is_set():
                waiting.start()
                began.wait()
            return super().forward(x)

    began, waiting = threading.Event(), threading.Thread(target=late)
    with threads.by(2):
        fit(Starts(), (X, Y), epochs=1, progress=False)
        waiting.join()
        assert torch.get_num_threads() == 2
        after = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        after.start()
        after.join()
    assert found == [1, 1, 2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "The number of threads must be from 1 to 1024, not 0."),
        (-1, "The number of threads must be from 1 to 1024, not -1."),
        ("2", "The number of threads must be a whole number, not '2'."),
        (1.5, "The number of threads must be a whole number, not 1.5."),
        (True, "The number of threads must be a whole number, not True."),
    ],
)
def test_what_is_no_number_of_threads(given: Any, said: str) -> None:
    with pytest.raises(InputError) as raised:
        fit(Noting(), (X, Y), threads=given)
    assert str(raised.value) == said


def test_a_resumed_fit_chooses_the_same(tmp_path: Path) -> None:
    ended = {}
    for out in ("whole", "parted"):
        net = Noting()
        torch.manual_seed(0)
        for p in net.parameters():
            nn.init.normal_(p)
        made = partial(
            fit, net, (X, Y), epochs=2, out=tmp_path / out, progress=False, checkpoint_every="1 epoch"
        )
        if out == "parted":
            ending = net.register_forward_hook(_stop)
            with threads.by(2), pytest.raises(Interrupted):
                made()
            ending.remove()
        with threads.by(3):  # as on another day
            made(resume=True)
        assert net.seen == {1}
        assert "threads =" not in (tmp_path / out / "config.toml").read_text()
        ended[out] = [*net.parameters()]
    assert all(map(torch.equal, ended["whole"], ended["parted"]))
    with pytest.raises(InputError, match="was started with threads none, not 2"):
        fit(
            Noting(),
            (X, Y),
            epochs=2,
            out=tmp_path / "whole",
            resume=True,
            progress=False,
            threads=2,
            checkpoint_every="1 epoch",
        )


def _stop(net: nn.Module, *_: Any) -> None:
    if net.training:
        signal.raise_signal(signal.SIGINT)


def test_large_evaluations_between_small_steps_share_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Noted(Pace):
        def take(self, work: Any, *given: Any) -> Any:
            return super().take(lambda: seen.append(torch.get_num_threads()) or work(), *given)

    def told(**options: Any) -> tuple[list[dict[str, Any]], list[Tensor]]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
        many = X.repeat(4_000, 1), Y.repeat(4_000)
        with threads.by(2):
            run = fit(net, (X, Y), many, epochs=2, validate_every="step", progress=False, **options)
            assert torch.get_num_threads() == 2
        return [*run.steps], [*net.parameters()]

    found = sharable.evaluations
    ways = [Way(1), Way(2)]
    monkeypatch.setattr(sharable, "evaluations", lambda *given: found(*given) and Noted(ways, first=1))
    shared = told()
    assert seen == [2] * 4  # two epochs of two batches
    alone = told(threads=1)
    assert len(seen) == 4
    assert shared[0] == alone[0]
    assert all(map(torch.equal, shared[1], alone[1]))
