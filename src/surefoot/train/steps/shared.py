"""Training steps, and evaluations, by as many threads of the CPU as are fastest just then."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from surefoot.train.steps.engine import Step
from surefoot.train.steps.products import backward_by_rows

__all__ = ["Pace", "Shared", "Way", "idle"]

T = TypeVar("T")

_WARM, _WAKE, _CHUNK = 6, 2, 10  # steps: not timed at the start, or of a trial; timed together
_PAUSE, _LONGEST = 40, 4000  # steps between two trials of another number of threads
_HICCUP = 10  # steps that may be lost at once, as by a system that does something of its own
_BETTER = 0.95  # of a step's time: another thread must save the rest
_WATCHED = 0.05  # seconds that cores are seen idle before another thread is tried on them


def idle() -> float | None:
    """Seconds since the system's start that cores did nothing, all together; None where it does not say."""
    try:
        fields = Path("/proc/stat").read_text().split(maxsplit=6)  # cpu user nice system idle iowait
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


class Way(NamedTuple):
    """By how many threads work is done, and whether each makes whole rows of products in backward."""

    threads: int
    rows: bool = False

    def begin(self) -> None:
        """From now on work is done this way."""
        torch.set_num_threads(self.threads)
        backward_by_rows(self.rows)

    def end(self) -> None:
        """From now on one thread works."""
        torch.set_num_threads(1)
        backward_by_rows(False)


class Pace:
    """How many threads small pieces of work are done by: found by the clock, again and again.

    Two threads do them in less time than one, unless somebody else wants their cores: then they wait for
    each other at every product, and it takes two to sixteen times as long. So the next
    larger number is tried for a few pieces now and then where cores are idle, the next smaller one too, and
    several threads are left at once when they are late. Of two ways by the same number, both are tried.

    Args:
        ways: to choose from, the first by one thread; a later one has as many as the one before, or more.
        first: the number of that which is used first.
        clock: gives seconds.
        idle: gives seconds that cores were idle, all together; None where that is not told.
    """

    def __init__(
        self,
        ways: Sequence[Way],
        first: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        idle: Callable[[], float | None] = idle,
    ) -> None:
        self.ways, self._clock, self._idle = ways, clock, idle
        self._home = self._now = 0  # which of the ways is settled on, and which is in use: another on trial
        self._up = True  # whether the next trial is of a later way, by as many threads or more
        self._turn = 0  # of those that are to be tried
        # pieces before a trial, by where it is made from, and whether of a later way
        self._pauses: defaultdict[tuple[int, bool], int] = defaultdict(lambda: _PAUSE)
        self._pace = math.inf  # seconds a piece, at home
        self._skip, self._wait, self._age = _WARM, 0, 0  # pieces: not to time, before a trial, since settled
        self._calls, self._spent = 0, 0.0  # timed
        self._lost = 0.0  # seconds that the last pieces at home took more than half as long again
        self._unit, self._unit_spent = 0, 0.0  # not yet taken into account
        self._watched = clock(), idle()
        if first:
            self._settle(first)

    def take(self, work: Callable[[], T], whole: Callable[[], bool] = lambda: True) -> T:
        """Do a piece of work; `whole`: whether what was handed in until now is done with it."""
        way = self.ways[self._now]
        way.begin()
        try:
            began = self._clock()
            result = work()
            self._unit_spent += self._clock() - began
        finally:
            way.end()
        self._unit += 1
        if whole():
            calls, spent = self._unit, self._unit_spent
            self.forget()
            self._timed(calls, spent)
        return result

    def forget(self) -> None:
        """Leave out of account what was handed in and is not whole."""
        self._unit, self._unit_spent = 0, 0.0

    def _timed(self, calls: int, spent: float) -> None:
        """Decide, once enough steps were timed or they are late, by how many threads the next are taken."""
        trial = self._now != self._home
        self._age += calls
        if self._skip > 0:
            self._skip -= calls
            if trial and spent > self._pace * (calls + 3):
                self._fail()
            return
        self._calls += calls
        self._spent += spent
        usual = self._pace * self._calls
        if trial:
            late = self._spent > usual + 3 * self._pace
        else:
            late = self._lost + self._spent > 1.5 * usual + _HICCUP * self._pace
        if self._calls < _CHUNK and not late:
            return
        pace = self._spent / self._calls
        self._lost = 0.0 if math.isinf(usual) else max(0.0, self._lost + self._spent - 1.5 * usual)
        self._wait -= self._calls
        self._calls, self._spent = 0, 0.0
        if trial:
            if late or pace >= self._pace * (_BETTER if self._now > self._home else 1):
                self._fail()
            else:
                self._settle(self._now)
        elif late and self._home:
            # others want the cores; whether now and then, or always when it was settled on
            again = self._age < 8 * self._pauses[0, True]
            self._pauses[0, True] = min(2 * self._pauses[0, True], _LONGEST) if again else _PAUSE
            self._up = True
            self._settle(0)
        else:
            # what slows several threads down by and by is no new measure for them
            self._pace = min(pace, 1.05 * self._pace) if self._home else pace
            if self._wait <= 0:
                self._try()

    def _fail(self) -> None:
        where = self._home, self._up
        self._pauses[where] = min(2 * self._pauses[where], _LONGEST)
        self._up = not self._up
        self._settle(self._home)

    def _settle(self, at: int) -> None:
        self._age = 0 if at != self._home else self._age
        self._home = self._now = at
        if not 0 <= at + (1 if self._up else -1) < len(self.ways):
            self._up = not self._up
        self._pace, self._wait = math.inf, self._pauses[at, self._up]
        self._skip, self._calls, self._spent, self._lost = 0, 0, 0.0, 0.0
        self._watched = self._clock(), self._idle()

    def _try(self) -> None:
        """Begin a trial: of fewer threads, or of more if cores were idle since the last look at them."""
        others = self._near()
        other = others[self._turn % len(others)]
        if self._up:
            (began, before), (now, idle) = self._watched, (self._clock(), self._idle())
            if now - began < _WATCHED:
                return
            self._watched = now, idle
            wanted = self.ways[other].threads - self.ways[self._home].threads
            if before is not None and idle is not None and idle - before < 0.7 * wanted * (now - began):
                self._wait = _PAUSE
                self._up = not self._home  # fewer next, if there are
                return
        self._turn += 1
        self._now, self._skip = other, _WAKE

    def _near(self) -> list[int]:
        """The later or the earlier ways by the same number of threads, or the next."""
        at, own = self._home, self.ways[self._home].threads
        side = range(at + 1, len(self.ways)) if self._up else range(at)
        apart = {abs(self.ways[i].threads - own) for i in side} - {0}
        return [i for i in side if abs(self.ways[i].threads - own) in (0, min(apart, default=0))]


class Shared:
    """A training step by as many threads as are fastest just then; its results must be the same by any."""

    def __init__(self, step: Step, pace: Pace) -> None:
        self._step, self.pace = step, pace

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Take the step, or hand the batch in."""
        return self.pace.take(lambda: self._step(x, y), lambda: self._step.whole)

    @property
    def whole(self) -> bool:
        """As of the step."""
        return self._step.whole

    def flush(self) -> None:
        """As of the step, and by one thread."""
        self._step.flush()
        self.pace.forget()
