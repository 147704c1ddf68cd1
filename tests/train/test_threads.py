"""How many threads share a step: counted before, found by the clock while training."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import surefoot
from surefoot.train import models, threads
from surefoot.train.config import Config
from surefoot.train.engine import Job
from surefoot.train.job import resume, train

BATCH = torch.zeros(4, 3), torch.zeros(4, 1)


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "hidden", "batch_size", "one"),
    [
        ("mlp", (256,), 32, True),  # 2 · 203,264 · 3 · 32 = 39 million operations
        ("mlp", (2000,), 32, False),  # 305 million
        ("mlp", (256,), 500, False),
        ("cnn", (16, 32), 32, False),  # few parameters, each used many times
        ("linear", None, 32, True),
    ],
)
def test_small_steps_get_one_thread(
    name: str, hidden: tuple[int, ...] | None, batch_size: int, one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    model = models.build(name, (28, 28), 10, hidden=hidden)
    before = torch.get_rng_state()
    assert threads.fitting(model, (28, 28), batch_size) == (1 if one else 8)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_validation_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    model = models.build("mlp", (28, 28), 10)
    assert threads.fitting(model, (28, 28), 32, validated=8) == 1  # 2,000 rows every 250 steps
    assert threads.fitting(model, (28, 28), 32, validated=2000) == 8  # after every step, as in the lecture


def test_what_cannot_be_counted_keeps_torchs_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert threads.fitting(nn.LSTM(4, 4), (3, 4), 32) == 8
    assert threads.fitting(nn.Linear(5, 1), (3,), 32) == 8


class World:
    """A step that takes its time on a clock, by the threads that torch is set to, and cores that are idle."""

    def __init__(self, seconds: Callable[[int], float], idle: float | None = 8.0, group: int = 1) -> None:
        self.now, self.seconds, self.idle_cores, self.group = 0.0, seconds, idle, group
        self.counts: list[int] = []
        self.waiting = 0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        self.counts.append(torch.get_num_threads())
        self.waiting = (self.waiting + 1) % self.group
        if self.whole:
            self.now += self.group * self.seconds(self.counts[-1])
        return x

    @property
    def whole(self) -> bool:
        return not self.waiting

    def flush(self) -> None:
        self.waiting = 0

    def idle(self) -> float | None:
        return None if self.idle_cores is None else self.now * self.idle_cores

    def steps(self, count: int, shared: threads.Shared | None = None) -> threads.Shared:
        shared = shared or threads.Shared(self, [1, 2, 4, 6], lambda: self.now, self.idle)
        for _ in range(count):
            shared(*BATCH)
        return shared


@pytest.mark.parametrize("group", [1, 3, 5])
def test_the_fastest_number_is_found_and_kept(group: int) -> None:
    world = World(lambda n: {1: 1e-2, 2: 6e-3, 4: 4e-3, 6: 5e-3}[n], group=group)
    shared = world.steps(3000)
    assert {1, 2, 4, 6} == set(world.counts)
    assert world.counts[-1000:].count(4) > 900
    assert torch.get_num_threads() == 1  # outside the step
    assert shared.whole == world.whole


def test_one_thread_stays_where_others_are_no_faster() -> None:
    world = World(lambda n: 1e-2 if n == 1 else 0.98e-2)
    world.steps(3000)
    assert world.counts.count(1) > 2900


@pytest.mark.parametrize(("idle", "tried"), [(0.5, False), (1.0, True), (None, True)])
def test_more_threads_are_tried_where_a_core_is_idle(idle: float | None, tried: bool) -> None:
    world = World(lambda n: 1e-2 / n, idle=idle)
    world.steps(500)
    assert (2 in world.counts) == tried


def test_a_trial_ends_with_its_first_late_step() -> None:
    world = World(lambda n: 1e-3 if n == 1 else 0.1)
    world.steps(4000)
    assert 0 < world.counts.count(2) < 10


def test_they_are_left_at_once_when_somebody_wants_their_cores_and_found_again() -> None:
    busy = False
    world = World(lambda n: 1e-3 / n if not busy or n == 1 else 0.1)
    shared = world.steps(2000)
    assert world.counts[-1] == 6
    busy, world.idle_cores = True, 0.0
    world.counts.clear()
    world.steps(1000, shared)
    assert 0 < len(world.counts) - world.counts.count(1) < 3
    busy, world.idle_cores = False, 8.0
    world.steps(6000, shared)
    assert world.counts[-1] == 6


def test_a_step_that_fails_leaves_one_thread() -> None:
    class Fails(World):
        def __call__(self, x: Tensor, y: Tensor) -> Tensor:
            if len(self.counts) == 100:
                raise ValueError("no more")
            return super().__call__(x, y)

    world = Fails(lambda n: 1e-2 / n)
    with pytest.raises(ValueError, match="no more"):
        world.steps(200)
    assert world.counts[-1] > 1
    assert torch.get_num_threads() == 1


def _job(width: int = 16) -> tuple[Job, tuple[Tensor, Tensor]]:
    model = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 3))
    optimizer = surefoot.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Job(model, nn.functional.cross_entropy, optimizer), (torch.randn(4, 8), torch.tensor([0, 1, 2, 0]))


def test_a_step_is_shared_where_that_changes_no_bit() -> None:
    job, batch = _job()
    weights = [p.clone() for p in job.model.parameters()]
    state = torch.get_rng_state()
    assert not isinstance(threads.shared(Job.eager, job, batch), threads.Shared)  # nobody said up to how many
    with threads.up_to(2):
        assert isinstance(threads.shared(Job.eager, job, batch), threads.Shared)
        assert not isinstance(threads.shared(Job.eager, job, None), threads.Shared)
    assert not isinstance(threads.shared(Job.eager, job, batch), threads.Shared)
    assert all(map(torch.equal, weights, job.model.parameters()))  # it was tried on copies
    assert not job.optimizer.state
    assert torch.equal(state, torch.get_rng_state())


def test_a_step_whose_bits_go_by_the_threads_is_not() -> None:
    class Sums(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 + 1e-6 * torch.get_num_threads())

    job, batch = _job()
    job.model[0] = Sums(8, 16)
    job = Job(job.model, job.loss, surefoot.SGD(job.model.parameters(), lr=0.1))
    with threads.up_to(2):
        assert not isinstance(threads.shared(Job.eager, job, batch), threads.Shared)


def test_an_epoch_s_shorter_last_batch_is_tried_too() -> None:
    class Sums(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 + 1e-6 * torch.get_num_threads() * (len(x) == 3))

    job, batch = _job()
    job.model[0] = Sums(8, 16)
    job = Job(job.model, job.loss, surefoot.SGD(job.model.parameters(), lr=0.1))
    with threads.up_to(2):
        assert isinstance(threads.shared(Job.eager, job, batch), threads.Shared)
        assert isinstance(threads.shared(Job.eager, job, batch, rest=2), threads.Shared)
        assert not isinstance(threads.shared(Job.eager, job, batch, rest=3), threads.Shared)


def test_what_a_user_wrote_is_not_called_more_often() -> None:
    job, batch = _job()
    calls = []

    def loss(output: Tensor, y: Tensor) -> Tensor:
        calls.append(1)
        return nn.functional.cross_entropy(output, y)

    class Own(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            calls.append(1)

    with threads.up_to(2):
        for own in (
            Job(job.model, loss, job.optimizer),
            Job(job.model, job.loss, Own(job.model.parameters())),
        ):
            assert not isinstance(threads.shared(Job.eager, own, batch), threads.Shared)
    assert not calls


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="not told here")
def test_idle_time_grows_by_no_more_than_the_cores() -> None:
    first = threads.idle()
    second = threads.idle()
    assert first is not None
    assert second is not None
    assert 0 <= second - first < 1 + (os.cpu_count() or 1)


def test_a_run_goes_by_one_thread_or_more_and_says_so(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threads, "AT_FIRST", 2)
    said = {}
    for threads_, out in ((None, "free"), (1, "one")):
        train(Config(epochs=1, hidden=(16,), threads=threads_, out=tmp_path / out))
        said[out] = capsys.readouterr().out
    assert "cpu, up to 2 threads" in said["free"]
    assert "cpu, 1 thread\n" in said["one"]
    assert "threads" not in (tmp_path / "free" / "config.toml").read_text()  # a resumed run finds it out anew
    assert resume(tmp_path / "free").status == "finished"
