"""How many threads of the CPU share a training step."""

from __future__ import annotations

import itertools
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.train.engine import NO_MEAN, Job, Step
from surefoot.train.given import looked_at
from surefoot.train.randomness import unmoved

__all__ = ["AT_FIRST", "Shared", "by", "fitting", "idle", "shared", "up_to"]

AT_FIRST = torch.get_num_threads()  # what torch chose, or the user by OMP_NUM_THREADS

# floating point operations of a step; below, threads wait for each other more than they work
_WORTH_SHARING = 1e8

_WARM, _WAKE, _CHUNK = 6, 2, 10  # steps: not timed at the start, or of a trial; timed together
_PAUSE, _LONGEST = 40, 4000  # steps between two trials of another number of threads
_BETTER = 0.95  # of a step's time: another thread must save the rest
_WATCHED = 0.05  # seconds that cores are seen idle before another thread is tried on them

_most = 1


def fitting(model: nn.Module, shape: Sequence[int], batch_size: int, validated: float = 0) -> int:
    """How many threads a step is worth: one, unless its matrix products are large.

    A count, not a measurement: results depend on the number of threads, so one seed must always get the same.

    Args:
        model: to be trained, on the CPU.
        shape: the shape of one input.
        batch_size: rows in a step.
        validated: rows that validation goes through for each step, on average.
    """
    work = 0

    def count(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal work
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            work += 2 * output.numel() * weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    x = torch.zeros(1, *shape)
    try:
        with looked_at(model, x.device):
            model(x)
    except Exception:  # what is wrong with the model will show when it trains
        work = 0
    finally:
        for hook in hooks:
            hook.remove()
    # forward once, backward twice as much; a model that cannot be counted keeps torch's choice
    small = 0 < work * (3 * batch_size + validated) < _WORTH_SHARING
    return 1 if small else torch.get_num_threads()


@contextmanager
def by(count: int) -> Iterator[None]:
    """Work by so many threads inside `with`."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def up_to(most: int) -> Iterator[None]:
    """Let steps that `shared` is given inside `with` use up to so many threads."""
    global _most
    before, _most = _most, most
    try:
        yield
    finally:
        _most = before


def shared(
    make: Callable[[Job], Step],
    job: Job,
    batch: tuple[Tensor, Tensor] | None,
    tries: int = 2,
    rest: int = 0,
) -> Step:
    """The step by as many threads as are fastest, where that changes no bit of its result; else by one.

    Args:
        make: gives the step.
        job: what it does.
        batch: a full batch; None where there is none to try it on before training.
        tries: how many steps to try it for.
        rest: rows in an epoch's last batch, if it is a shorter one: its products may be parted otherwise.
    """
    step = make(job)
    counts = [*itertools.takewhile(lambda n: n < _most, (2**k for k in itertools.count())), _most]
    kinds = (type(job.optimizer).__module__, getattr(job.loss, "__module__", None) or "")
    # what a user wrote may count its calls
    if _most == 1 or batch is None or any(k.partition(".")[0] not in ("torch", "surefoot") for k in kinds):
        return step
    try:
        batches = [batch] * tries + [(batch[0][:rest], batch[1][:rest])] * (rest > 0)
        results = [_result(make, job, batches, count) for count in counts]
        same = all(torch.equal(a, b) for r in results[1:] for a, b in zip(results[0], r, strict=True))
    except Exception:  # a model that cannot be copied; one that fails will tell so when it trains
        return step
    return Shared(step, counts) if same else step


def _result(
    make: Callable[[Job], Step], job: Job, batches: Sequence[tuple[Tensor, Tensor]], count: int
) -> list[Tensor]:
    """Losses and weights after steps on a copy by so many threads."""
    copy = job.copied()
    copy.model.train()
    with unmoved(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_MEAN)
        torch.manual_seed(0)
        with by(count):
            step = make(copy)
            losses = [step(*batch) for batch in batches]
    return [*losses, *copy.model.state_dict().values()]


def idle() -> float | None:
    """Seconds since the system's start that cores did nothing, all together; None where it does not say."""
    try:
        fields = Path("/proc/stat").read_text().split(maxsplit=6)  # cpu user nice system idle iowait
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


class Shared:
    """A step, and how many threads it is taken by: found by the clock, again and again.

    Two threads take a small model's step in less time than one, unless somebody else wants their cores: then
    they wait for each other at every product, and it takes up to a hundred times as long. So the next larger
    number is tried for a few steps now and then where cores are idle, the next smaller one too, and several
    threads are left at once when they are late.

    Args:
        step: taken by one thread; its results must be the same by any number.
        counts: the numbers of threads to choose from, growing from 1.
        clock: gives seconds.
        idle: gives seconds that cores were idle, all together; None where that is not told.
    """

    def __init__(
        self,
        step: Step,
        counts: Sequence[int],
        clock: Callable[[], float] = time.perf_counter,
        idle: Callable[[], float | None] = idle,
    ) -> None:
        self._step, self._counts, self._clock, self._idle = step, counts, clock, idle
        self._home = self._now = 0  # which of the counts is settled on, and which is in use: another on trial
        self._upwards = True  # where the next trial goes
        self._pace = math.inf  # seconds a step, at home
        self._pause, self._wait = _PAUSE, 0
        self._calls, self._spent = -_WARM, 0.0
        self._watched = clock(), idle()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Take the step, or hand the batch in."""
        torch.set_num_threads(self._counts[self._now])
        try:
            began = self._clock()
            loss = self._step(x, y)
            self._spent += self._clock() - began
        finally:
            torch.set_num_threads(1)
        self._calls += 1
        if self._step.whole:
            self._look()
        return loss

    @property
    def whole(self) -> bool:
        """As of the step."""
        return self._step.whole

    def flush(self) -> None:
        """As of the step."""
        self._step.flush()

    def _look(self) -> None:
        """Decide, once enough steps were timed or they are late, by how many threads the next are taken."""
        trial = self._now != self._home
        late = self._spent > self._pace * ((1 if trial else 1.5) * max(self._calls, 0) + 3)
        if self._calls < _CHUNK and not late:
            if self._calls <= 0:
                self._spent = 0.0
            return
        pace = self._spent / max(self._calls, 1)
        self._wait -= self._calls
        self._calls, self._spent = 0, 0.0
        if trial:
            if not late and pace < self._pace * (_BETTER if self._now > self._home else 1):
                self._settle(self._now, self._pause)
            else:
                self._upwards = not self._upwards
                self._pause = min(2 * self._pause, _LONGEST)
                self._settle(self._home, self._pause)
        elif late and self._home:
            self._upwards = True
            self._settle(0, self._pause)
        else:
            self._pace = pace
            if self._wait <= 0:
                self._try()

    def _settle(self, at: int, pause: int) -> None:
        self._home = self._now = at
        self._pace, self._wait = math.inf, pause
        self._watched = self._clock(), self._idle()

    def _try(self) -> None:
        """Begin a trial: of fewer threads, or of more if cores were idle since the last look at them."""
        if not 0 <= self._home + (1 if self._upwards else -1) < len(self._counts):
            self._upwards = not self._upwards
        if not self._upwards:
            self._now, self._calls = self._home - 1, -_WAKE
            return
        (began, before), (now, idle) = self._watched, (self._clock(), self._idle())
        if now - began < _WATCHED:
            return
        wanted = self._counts[self._home + 1] - self._counts[self._home]
        if before is None or idle is None or idle - before > 0.7 * wanted * (now - began):
            self._now, self._calls = self._home + 1, -_WAKE
        else:
            self._wait, self._watched = _PAUSE, (now, idle)
            self._upwards = not self._home
