"""What is evaluated between two steps, and broken off where the run should stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn

from surefoot.train.best import Best
from surefoot.train.history import History
from surefoot.train.interrupt import Interruptible, Stopping
from surefoot.train.looks.material import Material
from surefoot.train.randomness import Randomness
from surefoot.train.rows.batch import Batches
from surefoot.train.steps.shared import Pace

__all__ = ["Evaluations"]

_SHORT = 0.2  # seconds


class Evaluations:
    """The validations of a run, and at each epoch's end the same of training rows.

    One that is broken off is owed: nothing is noted of it, random states are as they were before it, and a
    resumed run makes it anew, before its next step.

    Args:
        model: the run's.
        what: rows and objective.
        history: told of what is found.
        best: offered the weights of each validation.
        random: the run's random states.
        stop: says when the run should stop.
        every: steps between validations.
        last: the run's last step, which always validates.
        pace: by how many threads validations are made; None for what torch is set to.
    """

    def __init__(
        self,
        model: nn.Module,
        what: Material,
        history: History,
        best: Best,
        random: Randomness,
        stop: Interruptible,
        *,
        every: int,
        last: int,
        pace: Pace | None = None,
    ) -> None:
        self._model, self._what, self._history, self._best = model, what, history, best
        self._random, self._stop = random, stop
        self._every, self._last, self._pace = every, last, pace
        self._seconds = math.inf  # that the last one took

    @property
    def due(self) -> bool:
        """Whether a validation comes after this step, and has not been made."""
        step = self._history.step
        comes = self._what.valid is not None and (step % self._every == 0 or step == self._last)
        return comes and not self._history.validated

    def validate(self) -> None:
        """Validate after this step."""
        valid = self._what.valid
        if valid is not None:
            # a loader's workers may be ended by the same signal, however short it takes
            with self._owing(valid.epoch(self._history.epoch), loaded=valid.first is None) as batches:
                made = partial(self._history.validate, self._model, batches, self._what.objective)
                metric = made() if self._pace is None else self._pace.take(made)
                self._best.offer(metric, self._history.step)

    def compare(self) -> None:
        """Evaluate training rows after the epoch's last step, unless its validation is owed."""
        if self._what.compared is not None and not self._history.owed:
            with self._owing(self._what.compared()) as batches:
                self._history.compare(self._model, batches, self._what.objective)

    def catch_up(self) -> None:
        """Make the validation that a resumed run owes; an epoch's other evaluation comes at its end."""
        if self._history.owed:
            self._history.owed = False
            if self.due:
                self.validate()

    @contextmanager
    def _owing(self, batches: Batches, *, loaded: bool = False) -> Iterator[Batches]:
        """Batches that end where the run should stop, unless they are over before anybody has waited."""
        began = time.perf_counter()
        if self._seconds < _SHORT and not loaded:
            yield batches  # to note the random states would take as long as a small evaluation
        else:
            before, buffers = self._random.now(), self._buffers()
            kept = {name: buffer.clone() for name, buffer in buffers.items()}
            try:
                yield self._stop.until_asked(batches)
            except Stopping:
                self._random.go_back(before)
                for name, buffer in self._buffers().items():
                    if name in kept:
                        buffer.copy_(kept[name])
                self._history.owed = True
        self._seconds = time.perf_counter() - began

    def _buffers(self) -> dict[tuple[int, str], Tensor]:
        """What the model and the loss may count, also while they are evaluated."""
        parts = [p for p in (self._model, self._what.objective.loss) if isinstance(p, nn.Module)]
        return {(i, name): b for i, part in enumerate(parts) for name, b in part.named_buffers()}
