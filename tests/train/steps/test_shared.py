"""How many threads take a step: found by the clock while training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from surefoot.train.steps import products
from surefoot.train.steps.products import Divider
from surefoot.train.steps.shared import Pace, Shared, Way, idle

BATCH = torch.zeros(4, 3), torch.zeros(4, 1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class World:
    """A step that takes time on a clock, by the threads that torch is set to; and cores that are idle."""

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

    def steps(
        self, count: int, shared: Shared | None = None, counts: tuple[int, ...] = (1, 2, 4, 6)
    ) -> Shared:
        shared = shared or Shared(self, Pace([*map(Way, counts)], 0, lambda: self.now, self.idle))
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


@pytest.mark.parametrize("group", [1, 3, 5])
@pytest.mark.parametrize(("two", "taken"), [(0.9, True), (0.98, False)])
def test_a_second_thread_must_save_a_twentieth(group: int, two: float, taken: bool) -> None:
    world = World(lambda n: 1e-2 * (1 if n == 1 else two), group=group)
    world.steps(3000, counts=(1, 2))
    assert (world.counts.count(2) > 2700) == taken
    assert (world.counts.count(1) > 2800) != taken


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
    world.steps(1000, shared)
    assert world.counts[-1] == 6


def test_what_slows_them_down_within_a_few_steps_is_no_new_measure() -> None:
    slow = 1.0
    world = World(lambda n: 1e-3 if n == 1 else 0.6e-3 * slow)
    shared = world.steps(905, counts=(1, 2))
    assert world.counts[-1] == 2
    slow = 2.2
    world.counts.clear()
    world.steps(600, shared)
    assert world.counts.count(2) < 100


def test_one_that_is_late_now_and_then_is_soon_taken_again() -> None:
    world = World(lambda n: 1e-3 if n == 1 else 0.7e-3 + 0.02 * (len(world.counts) % 2000 == 0))
    world.steps(20_000, counts=(1, 2))
    assert world.counts.count(2) > 18_000


def test_one_that_is_late_again_and_again_is_taken_ever_less() -> None:
    world = World(lambda n: 1e-3 if n == 1 else 0.7e-3 + 0.06 * (len(world.counts) % 50 == 0))
    world.steps(20_000, counts=(1, 2))
    assert world.now < 1.1 * 20_000 * 1e-3  # by one thread alone it would be 20 s


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


def test_batches_that_are_flushed_are_not_timed() -> None:
    world = World(lambda n: 1e-2, group=5)
    shared = world.steps(3)
    shared.flush()
    assert shared.whole
    assert (shared.pace._unit, shared.pace._unit_spent) == (0, 0.0)


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="not told here")
def test_idle_time_grows_by_no_more_than_the_cores() -> None:
    first, second = idle(), idle()
    assert first is not None
    assert second is not None
    assert 0 <= second - first < 1 + (os.cpu_count() or 1)


@pytest.fixture
def _divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "divider", lambda: Divider(int, int))


@pytest.mark.usefixtures("_divided")
def test_one_thread_works_as_usual_after_a_step_that_fails() -> None:
    seen: list[tuple[int, bool]] = []

    def fails(threads: int) -> float:
        seen.append((threads, products._in_backward is not None))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        Shared(World(fails), Pace([Way(1), Way(2, rows=True)], 1))(*BATCH)
    assert seen == [(2, True)]
    assert products._in_backward is None
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("_divided")
@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize(
    ("two", "rows"), [(9e-3, 6e-3), (6e-3, 9e-3), (2e-2, 6e-3), (6e-3, 1.2e-2), (6e-3, 9.7e-3)]
)
@pytest.mark.parametrize("idle", [8.0, 1.0])
def test_the_faster_way_of_two_threads_is_found(two: float, rows: float, first: int, idle: float) -> None:
    taken: list[Way] = []

    def seconds(threads: int) -> float:
        taken.append(Way(threads, products._in_backward is not None))
        return {Way(1): 1e-2, Way(2, rows=True): rows, Way(2): two}[taken[-1]]

    world = World(seconds, idle)
    pace = Pace([Way(1), Way(2, rows=True), Way(2)], first, lambda: world.now, world.idle)
    shared = Shared(world, pace)
    world.steps(3000, shared)
    assert set(taken) == {Way(1), Way(2, rows=True), Way(2)}
    assert taken[-1000:].count(Way(2, rows < two)) > 900
    slow = len(taken)
    two, rows = 3e-2, 3e-2  # others want the cores, for a while
    world.steps(60, shared)
    assert taken[-10:] == [Way(1)] * 10
    two, rows = 6e-3, 1.2e-2
    world.steps(6000, shared)
    assert taken[slow + 2000 :].count(Way(2)) > 3000


@pytest.mark.usefixtures("_divided")
def test_another_way_of_as_many_threads_needs_no_idle_core() -> None:
    seconds = lambda threads: 9e-3 if products._in_backward else 6e-3 if threads == 2 else 1e-2  # noqa: E731
    world = World(seconds, idle=0.0)
    pace = Pace([Way(1), Way(2, rows=True), Way(2)], 1, lambda: world.now, world.idle)
    shared = Shared(world, pace)
    world.steps(1000, shared)
    assert not pace.ways[pace._home].rows
    assert pace.ways[pace._home].threads == 2
