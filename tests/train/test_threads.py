"""Which steps threads may share: small ones, of which no bit goes by their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import surefoot
from surefoot.train import models, products, threads
from surefoot.train.config import Config
from surefoot.train.engine import Job, eager
from surefoot.train.job import resume, train
from surefoot.train.losses import LOSSES
from surefoot.train.products import Divider
from surefoot.train.shared import Shared, Way

CLASSES = LOSSES["cross-entropy"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "hidden", "batch_size", "small"),
    [
        ("mlp", (256,), 32, True),  # 2 · 203,264 · 3 · 32 = 39 million operations
        ("mlp", (2000,), 32, False),  # 305 million
        ("mlp", (256,), 500, False),
        ("cnn", (16, 32), 32, False),  # few parameters, each used many times
        ("linear", None, 32, True),
    ],
)
def test_which_steps_are_small(
    name: str, hidden: tuple[int, ...] | None, batch_size: int, small: bool
) -> None:
    model = models.build(name, (28, 28), 10, hidden=hidden)
    before = torch.get_rng_state()
    assert threads.small(model, torch.zeros(1, 28, 28), batch_size) == small
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_validation_counts_too() -> None:
    model = models.build("mlp", (28, 28), 10)
    assert threads.small(model, torch.zeros(1, 28, 28), 32, validated=8)  # 2,000 rows every 250 steps
    assert not threads.small(
        model, torch.zeros(1, 28, 28), 32, validated=2000
    )  # after every step, as in the lecture


class Headed(nn.Module):
    """Most of its work is that of a layer whose output is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(4, 512, batch_first=True), nn.Linear(512, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


class Ends(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)


class Scripted(nn.Linear):
    def register_forward_hook(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("register_forward_hook is not supported on ScriptModules")


def test_what_cannot_be_counted_is_not_small() -> None:
    assert not threads.small(Headed(), torch.zeros(1, 100, 4), 32)
    assert not threads.small(Ends(3, 1), torch.zeros(1, 3), 32)
    assert not threads.small(nn.LSTM(4, 4), torch.zeros(1, 3, 4), 32)
    assert not threads.small(nn.Linear(5, 1), torch.zeros(1, 3), 32)
    assert not threads.small(nn.Sequential(nn.Linear(3, 3), Scripted(3, 1)), torch.zeros(1, 3), 32)
    compiled = nn.Linear(3, 1)
    compiled._compiled_call_impl = lambda *_: 1 / 0  # would be compiled for a single row, as none trains on
    assert not threads.small(compiled, torch.zeros(1, 3), 32)
    assert threads.small(nn.Linear(3, 1), torch.zeros(1, 3), 32)


def test_a_model_that_writes_into_its_input_leaves_the_row() -> None:
    x = -torch.ones(1, 3)
    assert threads.small(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 1)), x, 32)
    assert x.eq(-1).all()


class Own(nn.Module):
    """A layer of a user's own: it may count its calls, or go by the number of threads."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class OwnSGD(torch.optim.SGD):
    """An optimizer of a user's own."""


def _model(*more: nn.Module, width: int = 16, outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), *more, nn.Linear(width, outputs))


def _job(model: nn.Module, kind: Callable[..., Any] = surefoot.SGD, **more: Any) -> Job:
    return Job(model, **{"loss": CLASSES, "optimizer": kind(model.parameters(), lr=0.1)} | more)


def _batch(rows: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 8), torch.arange(rows) % 3


def test_a_step_is_shared_where_that_changes_no_bit() -> None:
    job, batch = _job(_model(nn.Dropout(0.5))), _batch()
    weights = [p.clone() for p in job.model.parameters()]
    state = torch.get_rng_state()
    assert not isinstance(threads.shared(eager, job, batch), Shared)  # nobody said up to how many
    with threads.up_to(2):
        assert isinstance(threads.shared(eager, job, batch), Shared)
        assert not isinstance(threads.shared(eager, job, None), Shared)
    assert not isinstance(threads.shared(eager, job, batch), Shared)
    assert all(map(torch.equal, weights, job.model.parameters()))  # it was tried on copies
    assert not job.optimizer.state
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad])
def test_torch_s_optimizers_of_single_numbers_go_with_it(kind: Callable[..., Any]) -> None:
    with threads.up_to(2):
        assert isinstance(threads.shared(eager, _job(_model(), kind), _batch()), Shared)


@pytest.mark.parametrize(
    ("job", "rows"),
    [
        (_job(_model(nn.BatchNorm1d(16))), 4),  # its sums are parted
        (_job(_model(nn.LayerNorm(16))), 4),
        (_job(_model(nn.PReLU())), 4),
        (_job(_model(Own())), 4),
        (_job(_model(), OwnSGD), 4),
        (_job(_model(), torch.optim.LBFGS), 4),
        (_job(_model(), clip=1.0), 4),
        (_job(_model(), loss=nn.functional.cross_entropy), 4),  # as one of the user's own
        (_job(_model(), autocast=torch.autocast("cpu", torch.bfloat16)), 4),
        (_job(_model(width=2048)), 16),  # so many numbers torch adds up by several threads
        (_job(_model(outputs=2048)), 4),  # and so many the compiled loss
    ],
)
def test_what_may_go_by_the_number_is_taken_by_one(job: Job, rows: int) -> None:
    with threads.up_to(2):
        assert not isinstance(threads.shared(eager, job, _batch(rows)), Shared)


@pytest.mark.parametrize("missing", ["request", "processor", "library"])
def test_where_mkl_promises_nothing_one_takes_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "request":
        monkeypatch.delenv("MKL_CBWR")
    elif missing == "processor":
        monkeypatch.setattr(threads, "x86", lambda: False)
    else:
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    with threads.up_to(2):
        assert not isinstance(threads.shared(eager, _job(_model()), _batch()), Shared)


class _ByThreads:
    """A step whose loss goes by the number of threads: always, or for so many rows."""

    def __init__(self, job: Job, rows: int | None) -> None:
        self.step, self.rows, self.whole, self.flush = eager(job), rows, True, lambda: None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        loss = self.step(x, y)
        return loss + torch.get_num_threads() if self.rows in (None, len(x)) else loss


def test_what_is_found_to_go_by_the_number_is_taken_by_one() -> None:
    job = _job(_model())
    with threads.up_to(2):
        assert not isinstance(threads.shared(lambda j: _ByThreads(j, None), job, _batch()), Shared)
        assert isinstance(threads.shared(lambda j: _ByThreads(j, 3), job, _batch()), Shared)
        assert isinstance(threads.shared(lambda j: _ByThreads(j, 3), job, _batch(), rest=2), Shared)
        # an epoch's shorter last batch
        assert not isinstance(threads.shared(lambda j: _ByThreads(j, 3), job, _batch(), rest=3), Shared)


class _Timed:
    """A step that takes so long on a clock by each way, and whose loss may go by whole rows of products."""

    now = 0.0

    def __init__(self, job: Job, seconds: dict[Way, float], rows: float = 0) -> None:
        self.step, self.seconds, self.rows = eager(job), seconds, rows
        self.whole, self.flush = True, lambda: None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        _Timed.now += self.seconds[Way(torch.get_num_threads(), products._in_backward is not None)]
        return self.step(x, y) + self.rows * (products._in_backward is not None)


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that can be told how to divide products, and a clock that steps move."""
    for module in (threads, products):
        monkeypatch.setattr(module, "divider", lambda: Divider(int, int))
    monkeypatch.setattr(threads.time, "perf_counter", lambda: _Timed.now)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize(
    ("two", "by_rows", "first"), [(0.5, 0.6, 2), (0.6, 0.5, 1), (2.0, 0.8, 1), (0.95, 1.0, 0), (3.0, 2.0, 0)]
)
def test_what_was_fastest_on_trial_takes_the_first_steps(two: float, by_rows: float, first: int) -> None:
    seconds = {Way(1): 1.0, Way(2): two, Way(2, rows=True): by_rows}
    with threads.up_to(2):
        found = threads.shared(lambda job: _Timed(job, seconds), _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found._ways == [Way(1), Way(2, rows=True), Way(2)]
    began = _Timed.now
    found(*_batch())
    assert _Timed.now - began == pytest.approx([1.0, by_rows, two][first])
    assert products._in_backward is None
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("divided")
def test_whole_rows_are_left_where_a_bit_goes_by_them() -> None:
    seconds = {Way(1): 1.0, Way(2): 0.5, Way(2, rows=True): 0.1}
    with threads.up_to(2):
        found = threads.shared(lambda job: _Timed(job, seconds, rows=1), _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found._ways == [Way(1), Way(2)]


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize(
    ("most", "program", "ways"),
    [(4, False, [Way(1), Way(2), Way(4)]), (2, True, [Way(1), Way(2)])],
)
def test_whole_rows_are_for_two_threads_in_torch_s_backward(
    most: int, program: bool, ways: list[Way]
) -> None:
    with threads.up_to(most):
        found = threads.shared(eager, _job(_model()), _batch(), program=program)
    assert isinstance(found, Shared)
    assert found._ways == ways


def test_without_a_library_that_can_be_told_there_are_no_whole_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "divider", lambda: None)
    with threads.up_to(2):
        found = threads.shared(eager, _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found._ways == [Way(1), Way(2)]


class _Order:
    """A step whose sum is formed in another order by each number of threads; zeros do not show it."""

    def __init__(self, job: Job) -> None:
        self.step, self.whole, self.flush = eager(job), True, lambda: None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.step(x, y) + x.sum() * torch.get_num_threads()


def test_a_batch_of_zeros_hides_nothing() -> None:
    with threads.up_to(2):
        zeros = torch.zeros(4, 8), torch.arange(4) % 3
        assert not isinstance(threads.shared(_Order, _job(_model()), zeros), Shared)
        assert isinstance(threads.shared(eager, _job(_model()), zeros), Shared)


def test_a_run_goes_by_one_thread_or_more_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(out: str, **options: Any) -> str:
        with threads.by(2):
            train(Config(epochs=1, train_fraction=0.1, out=tmp_path / out, **options))
            assert torch.get_num_threads() == 2  # as before
        return capsys.readouterr().out

    assert "cpu, up to 2 threads" in said("free", hidden=(16,))
    assert "threads" not in (tmp_path / "free" / "config.toml").read_text()  # a resumed run finds it out anew
    assert "cpu, 1 thread\n" in said("one", hidden=(16,), threads=1)
    assert "cpu, 1 thread\n" in said("clipped", hidden=(16,), clip=1.0)
    assert "cpu, 2 threads" in said("large", hidden=(3000,))
    assert "threads = 2" in (tmp_path / "large" / "config.toml").read_text()
    with threads.by(1):
        assert resume(tmp_path / "free").status == "finished"
    assert "is finished; there is nothing left to do" in capsys.readouterr().out
