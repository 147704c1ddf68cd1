"""The training step captured as a CUDA graph: forward, loss, backward, clipping and update by one launch.

The steps of a capture are those of torch's notes on CUDA graphs: inputs that stay in their place, a few eager
steps on a stream of their own, then the capture. Random numbers go on from replay to replay as they do from
eager step to eager step, since torch counts them for a graph too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from surefoot.optim.options import as_tensor
from surefoot.train import modes
from surefoot.train.compiled.options import constants
from surefoot.train.compiled.verify import difference, on_trial, unchanged
from surefoot.train.steps.engine import Job, Step, eager

__all__ = ["Captured", "Graph", "captured", "cause"]

_WARM_UP = 3  # steps before a capture, in which libraries do what they do only once


class Graph:
    """One step of a job on its own tensors, captured; lr is read anew at each replay.

    Args:
        job: its optimizer, an SGD, has taken a step, so that its state is there.
        step: the job's eager step.
        x: inputs of a batch.
        y: its targets.

    Raises:
        Exception: whatever torch raises where a step cannot be captured. Either way the job is as it was.
    """

    def __init__(self, job: Job, step: Step, x: Tensor, y: Tensor) -> None:
        self._groups = job.optimizer.param_groups
        self._options = self._held()
        self._lrs = [as_tensor(float(group["lr"]), group["params"], x.device) for group in self._groups]
        self._x, self._y = x.clone(), y.clone()
        self._graph = torch.cuda.CUDAGraph()
        with unchanged(_tensors(job)), _lr_from(self._lrs, self._groups), _beside(x.device) as side:
            for _ in range(_WARM_UP):
                step(self._x, self._y)
            job.optimizer.zero_grad()  # the graph has gradients of its own
            try:
                with torch.cuda.graph(self._graph, stream=side):
                    self._loss = step(self._x, self._y)
            except Exception:
                _end_capturing()
                raise

    def fits(self, x: Tensor, y: Tensor) -> bool:
        """Whether the graph is for this batch: of the captured one's size, and all but lr is as it was."""
        return (x.shape, y.shape) == (self._x.shape, self._y.shape) and self._held() == self._options

    def _held(self) -> tuple[list[Any], list[list[float]]]:
        return [group["momentum"] for group in self._groups], constants(self._groups)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Take the step; its loss, still on the device."""
        self._x.copy_(x)
        self._y.copy_(y)
        for lr, group in zip(self._lrs, self._groups, strict=True):
            lr.fill_(float(group["lr"]))
        self._graph.replay()
        return self._loss.clone()


class Captured:
    """A training step like the eager one, captured when it is first possible, and replayed from then on.

    Which steps are replayed depends on the batches alone, so one seed gives one result. Eager are the first
    step of a run, which makes the momentum buffers, and a batch of another size, such as the last.

    Args:
        job: what the step does.
        like: a batch (inputs, targets) of the size to capture.
        states: how many parameters have state in the optimizer after a step.
    """

    whole = True

    def __init__(self, job: Job, like: tuple[Tensor, Tensor], states: int) -> None:
        self._job, self._eager, self._states = job, eager(job), states
        self._shapes = [t.shape for t in like]
        self._graph: Graph | None = None
        self._failed = False

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Take the step with one batch; its loss, still on the device."""
        if self._graph is None and not self._failed and [x.shape, y.shape] == self._shapes:
            self._capture(x, y)
        step = self._graph if self._graph is not None and self._graph.fits(x, y) else self._eager
        return step(x, y)

    def flush(self) -> None:
        """Nothing waits."""

    def _capture(self, x: Tensor, y: Tensor) -> None:
        if len(self._job.optimizer.state) < self._states:
            return
        try:
            self._graph = Graph(self._job, self._eager, x, y)
        except Exception as error:  # on a copy it could be: memory has run out, perhaps
            self._failed, why = True, cause(error)
            warnings.warn(f"The training step could not be captured and runs eagerly: {why}", stacklevel=3)


def captured(job: Job, batch: tuple[Tensor, Tensor]) -> Captured | str:
    """The job's step, captured on a copy to see that it can be; or where it parts from the eager one.

    It is compared with other rows and another lr than it was captured with.

    Raises:
        Exception: whatever torch raises where a step cannot be captured.
    """
    x, y = batch
    with on_trial(x.device):
        trial = job.copied()
        modes.train(trial.model)
        step = eager(trial)
        step(x, y)
        graph = Graph(trial, step, x.roll(1, 0), y)
        for group in trial.optimizer.param_groups:
            group["lr"] = group["lr"] / 2
        wrong = difference(_tensors(trial), lambda: graph(x, y), lambda: step(x, y))
    return wrong or Captured(job, batch, len(trial.optimizer.state))


def cause(error: BaseException) -> str:
    """What was wrong, in one line: a failed capture fails once more at its end, and hides the first error."""
    earlier = error.__context__
    while earlier is not None:
        error, earlier = earlier if isinstance(earlier, RuntimeError) else error, earlier.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


def _tensors(job: Job) -> list[Tensor]:
    """All that a step changes."""
    state = [t for held in job.optimizer.state.values() for t in held.values() if isinstance(t, Tensor)]
    return [*job.model.parameters(), *job.model.buffers(), *state]


@contextmanager
def _lr_from(lrs: Sequence[Tensor], groups: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Let the optimizer take its lr from these tensors, without reading them back."""
    kept = [(group["lr"], group["capturable"]) for group in groups]
    try:
        for group, lr in zip(groups, lrs, strict=True):
            group["lr"], group["capturable"] = lr, True
        yield
    finally:
        for group, (lr_before, capturable) in zip(groups, kept, strict=True):
            group["lr"], group["capturable"] = lr_before, capturable


@contextmanager
def _beside(device: torch.device) -> Iterator[torch.cuda.Stream]:
    """Work on a stream of its own; the current one waits for it, as it waits for the current one."""
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(side):
            yield side
    finally:
        torch.cuda.current_stream(device).wait_stream(side)


def _end_capturing() -> None:
    """After a capture that failed, older versions of torch refuse random numbers until another succeeded."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")  # that the graph is empty
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            pass
