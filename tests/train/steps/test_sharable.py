"""Which steps threads may share: those of which no bit goes by their number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import surefoot
from surefoot.train.config import Config
from surefoot.train.objective.losses import LOSSES
from surefoot.train.objective.objective import Objective
from surefoot.train.rows.feed import feed
from surefoot.train.steps import products, sharable, threads
from surefoot.train.steps.engine import Job, eager
from surefoot.train.steps.products import Divider
from surefoot.train.steps.shared import Shared, Way

CLASSES = LOSSES["cross-entropy"]

pytestmark = pytest.mark.usefixtures("one_thread")


class Own(nn.Module):
    """A layer of a user's own: it may count its calls, or go by the number of threads."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class OwnSGD(torch.optim.SGD):
    """An optimizer of a user's own."""


def _model(*more: nn.Module, width: int = 16, outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), *more, nn.Linear(width, outputs))


def _job(model: nn.Module, kind: Callable[..., Any] = surefoot.SGD, **more: Any) -> Job:
    return Job(model, **{"loss": CLASSES, "optimizer": kind(model.parameters(), lr=0.1), "most": 2} | more)


def _batch(rows: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 8), torch.arange(rows) % 3


def test_a_step_is_shared_where_that_changes_no_bit() -> None:
    job, batch = _job(_model(nn.Dropout(0.5))), _batch()
    weights = [p.clone() for p in job.model.parameters()]
    state = torch.get_rng_state()
    assert isinstance(sharable.shared(eager, job, batch), Shared)
    assert not isinstance(sharable.shared(eager, job, None), Shared)
    # by how many at the most is said by the job; a job that says nothing is taken by one
    assert not isinstance(sharable.shared(eager, dataclasses.replace(job, most=1), batch), Shared)
    assert Job(job.model, job.loss, job.optimizer).most == 1
    assert all(map(torch.equal, weights, job.model.parameters()))  # it was tried on copies
    assert not job.optimizer.state
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad])
def test_torch_s_optimizers_of_single_numbers_go_with_it(kind: Callable[..., Any]) -> None:
    assert isinstance(sharable.shared(eager, _job(_model(), kind), _batch()), Shared)


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
    assert not isinstance(sharable.shared(eager, job, _batch(rows)), Shared)


@pytest.mark.parametrize("missing", ["request", "processor", "library"])
def test_where_mkl_promises_nothing_one_takes_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "request":
        monkeypatch.delenv("MKL_CBWR")
    elif missing == "processor":
        monkeypatch.setattr(sharable, "x86", lambda: False)
    else:
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    assert not isinstance(sharable.shared(eager, _job(_model()), _batch()), Shared)


class _ByThreads:
    """A step whose loss goes by the number of threads: always, or for so many rows."""

    def __init__(self, job: Job, rows: int | None) -> None:
        self.step, self.rows, self.whole, self.flush = eager(job), rows, True, lambda: None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        loss = self.step(x, y)
        return loss + torch.get_num_threads() if self.rows in (None, len(x)) else loss


def test_what_is_found_to_go_by_the_number_is_taken_by_one() -> None:
    job = _job(_model())
    assert not isinstance(sharable.shared(lambda j: _ByThreads(j, None), job, _batch()), Shared)
    assert isinstance(sharable.shared(lambda j: _ByThreads(j, 3), job, _batch()), Shared)
    assert isinstance(sharable.shared(lambda j: _ByThreads(j, 3), job, _batch(), rest=2), Shared)
    # an epoch's shorter last batch
    assert not isinstance(sharable.shared(lambda j: _ByThreads(j, 3), job, _batch(), rest=3), Shared)


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
    for module in (sharable, products):
        monkeypatch.setattr(module, "divider", lambda: Divider(int, int))
    monkeypatch.setattr(sharable.time, "perf_counter", lambda: _Timed.now)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize(
    ("two", "by_rows", "first"), [(0.5, 0.6, 2), (0.6, 0.5, 1), (2.0, 0.8, 1), (0.95, 1.0, 0), (3.0, 2.0, 0)]
)
def test_what_was_fastest_on_trial_takes_the_first_steps(two: float, by_rows: float, first: int) -> None:
    seconds = {Way(1): 1.0, Way(2): two, Way(2, rows=True): by_rows}
    found = sharable.shared(lambda job: _Timed(job, seconds), _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found.pace.ways == [Way(1), Way(2, rows=True), Way(2)]
    began = _Timed.now
    found(*_batch())
    assert _Timed.now - began == pytest.approx([1.0, by_rows, two][first])
    assert products._in_backward is None
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("divided")
def test_whole_rows_are_left_where_a_bit_goes_by_them() -> None:
    seconds = {Way(1): 1.0, Way(2): 0.5, Way(2, rows=True): 0.1}
    found = sharable.shared(lambda job: _Timed(job, seconds, rows=1), _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found.pace.ways == [Way(1), Way(2)]


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize(
    ("most", "program", "ways"),
    [(4, False, [Way(1), Way(2), Way(4)]), (2, True, [Way(1), Way(2)])],
)
def test_whole_rows_are_for_two_threads_in_torch_s_backward(
    most: int, program: bool, ways: list[Way]
) -> None:
    found = sharable.shared(eager, _job(_model(), most=most), _batch(), program=program)
    assert isinstance(found, Shared)
    assert found.pace.ways == ways


def test_without_a_library_that_can_be_told_there_are_no_whole_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharable, "divider", lambda: None)
    found = sharable.shared(eager, _job(_model()), _batch())
    assert isinstance(found, Shared)
    assert found.pace.ways == [Way(1), Way(2)]


class _Order:
    """A step whose sum is formed in another order by each number of threads; zeros do not show it."""

    def __init__(self, job: Job) -> None:
        self.step, self.whole, self.flush = eager(job), True, lambda: None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.step(x, y) + x.sum() * torch.get_num_threads()


def test_a_batch_of_zeros_hides_nothing() -> None:
    zeros = torch.zeros(4, 8), torch.arange(4) % 3
    assert not isinstance(sharable.shared(_Order, _job(_model()), zeros), Shared)
    assert isinstance(sharable.shared(eager, _job(_model()), zeros), Shared)


@pytest.mark.parametrize(
    ("options", "given", "choice"),
    [
        ({}, {}, (1, 2, True, False)),
        ({"validate_every": "1 step"}, {}, (1, 2, True, True)),  # 0.8 GFLOP after steps of 0.04
        ({"validate_every": "1 step"}, {"own": False}, (2, 1, False, False)),
        ({"validate_every": "1 step"}, {"tried": False}, (2, 1, False, False)),
        ({"validate_every": "1 step", "clip": 1.0}, {}, (2, 1, False, False)),
        ({"clip": 1.0}, {}, (1, 1, True, False)),
        ({"batch_size": 500, "validate_every": "1 step"}, {}, (2, 1, False, False)),
        ({"threads": 3, "validate_every": "1 step"}, {}, (3, 1, False, False)),
    ],
)
def test_how_many_threads_a_run_takes(
    options: dict[str, Any], given: dict[str, Any], choice: tuple[Any, ...]
) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = surefoot.SGD(model.parameters(), lr=0.1)
    config, x = Config(**{"batch_size": 32, **options}), torch.zeros(1, 28, 28)
    with threads.by(2):
        found = sharable.chosen(config, model, optimizer, x, 8000, 2000, **{"own": True, **given})
    assert found == choice


def test_an_evaluation_is_shared_where_that_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, y) = _model(nn.Dropout(0.5)), _batch(40)
    objective = Objective.of(None, y)
    rows = feed((x, y), 10, device=torch.device("cpu"))
    state = torch.get_rng_state()
    pace = sharable.evaluations(model, rows, objective, 2)
    assert pace is not None
    assert pace.ways == [Way(1), Way(2)]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == 1
    assert sharable.evaluations(model, rows, objective, 1) is None
    assert sharable.evaluations(model, None, objective, 2) is None
    # a loader's workers and its order are not drawn for a trial
    assert sharable.evaluations(model, dataclasses.replace(rows, first=None), objective, 2) is None
    monkeypatch.setattr(sharable, "evaluate", lambda *_: torch.tensor(float(torch.get_num_threads())))
    assert sharable.evaluations(model, rows, objective, 2) is None


@pytest.mark.parametrize(("two", "count"), [(0.5, 2), (0.95, 1), (3.0, 1)])
def test_the_first_evaluations_are_made_by_what_was_faster(
    monkeypatch: pytest.MonkeyPatch, two: float, count: int
) -> None:
    now = 0.0

    def looked(*_: Any) -> Tensor:
        nonlocal now
        now += 1.0 if torch.get_num_threads() == 1 else two
        return torch.ones(3)

    monkeypatch.setattr(sharable, "evaluate", looked)
    monkeypatch.setattr(sharable.time, "perf_counter", lambda: now)
    model, (x, y) = _model(), _batch(40)
    rows = feed((x, y), 10, device=torch.device("cpu"))
    pace = sharable.evaluations(model, rows, Objective.of(None, y), 2)
    assert pace is not None
    assert pace.take(torch.get_num_threads) == count


def test_a_mean_over_many_outputs_is_not_shared() -> None:
    wide = torch.zeros(1000, 64), torch.zeros(1000, 64)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    few, many = (feed(wide, rows, device=torch.device("cpu")) for rows in (500, 1000))
    objective = Objective.of(None, wide[1])
    assert sharable.evaluations(model, few, objective, 2) is not None
    assert sharable.evaluations(model, many, objective, 2) is None  # 64,000 squares: their sum is shared


def test_zeros_hide_no_order_of_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(model: nn.Module, *_: Any) -> Tensor:
        return model[-1].weight.sum() * torch.get_num_threads()  # 0 by any number, if the weights are

    monkeypatch.setattr(sharable, "evaluate", looked)
    model, (x, y) = _model(), _batch(40)
    nn.init.zeros_(model[-1].weight)
    rows = feed((x, y), 10, device=torch.device("cpu"))
    assert sharable.evaluations(model, rows, Objective.of(None, y), 2) is None
    assert not model[-1].weight.any()  # it was tried on a copy
