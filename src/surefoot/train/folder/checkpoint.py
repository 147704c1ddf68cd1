"""Checkpoints: all that a run's next step depends on, in one file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.errors import InputError, first_line
from surefoot.train.best import Best
from surefoot.train.folder import checkpoint_file, saved
from surefoot.train.folder.diverged import check_not_diverged
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.pack import pack
from surefoot.train.folder.same import check_given, check_options, settled
from surefoot.train.folder.unsaved import Unsaved
from surefoot.train.run import Run
from surefoot.train.span import Span

__all__ = ["Checkpoints", "ended"]


class Part(Protocol):
    """Whatever has a state: a model, an optimizer, a schedule, a history."""

    def state_dict(self) -> Any:
        """What it would go on from."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Go on from there."""


class Checkpoints:
    """The checkpoints of a run, checkpoints/step-NNNNNNNNN.safetensors in its folder; the last two are kept.

    Tensors are safetensors, all else is JSON in the same file: reading one runs no code.

    Args:
        folder: the run's; None writes none.
        every: "500 steps", "2 epochs", "5 minutes" or "never".
        per_epoch: steps in an epoch.
        given: "rows to train on", "loss" … -> gives what tells that from others.
        sources: "model", "optimizer" -> a checksum of its class's Python, where that is the user's.
        model: the run's.
        best: the weights of its best validation, which are written before a checkpoint that tells of them.
        loss: the run's, where it has a state of its own.
        optimizer: the run's: what it trains must be finite in a checkpoint.
        parts: name -> what else has a state; None has none.

    Attributes:
        step: of the last one; 0 before.

    Raises:
        InputError: a part's state cannot be held.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        every: str,
        per_epoch: int,
        given: Mapping[str, Callable[[], str]],
        sources: Mapping[str, str],
        *,
        model: nn.Module,
        best: Best,
        loss: nn.Module | None,
        optimizer: Optimizer,
        **parts: Part | None,
    ) -> None:
        self._folder = None if every == "never" else folder
        self.step = 0
        self._marks, self._sources = given, dict(sources)
        self._modules, self._best = [m for m in (model, loss) if m is not None], best
        self._optimizer = optimizer
        parts = {"model": model, "loss": loss, "optimizer": optimizer, **parts, "best": best}
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self._at = time.monotonic()
        self._steps, self._seconds = math.inf, math.inf
        if self._folder is not None:
            span = Span.parse(every, "checkpoint_every", times=True)
            if span.seconds is not None:
                self._seconds = span.seconds
            else:
                self._steps = span.steps(per_epoch)
            self._pack()  # what cannot be held is better said before the first step
            self._unsaved = Unsaved(self._modules)
            # what is infinite from the start, as a mask is, stays so in every state
            self._unbounded = {id(p) for p in self._trained() if not p.isfinite().all()}

    @cached_property
    def _given(self) -> dict[str, str]:
        return {what: mark() for what, mark in self._marks.items()}

    def due(self, step: int) -> bool:
        """Whether it is time for one after this step."""
        return step // self._steps > self.step // self._steps or time.monotonic() - self._at >= self._seconds

    def write(self, step: int) -> None:
        """Write one, unless this step has one, or its weights are NaN or inf.

        Raises:
            InputError: it cannot be written; those from before are as they were.
        """
        if self._folder is None or step == self.step or not self._sound():
            return
        self._folder.check_there()
        self._unsaved.warn()
        self._best.write()
        plain, tensors = self._pack()
        about = {"step": step, "metrics": self._folder.metrics.sync(), "state": plain}
        about |= {"options": settled(self._folder.options), "given": self._given, "sources": self._sources}
        checkpoint_file.write(self._folder, about, tensors)
        self.step, self._at = step, time.monotonic()

    def restore(self, folder: RunFolder) -> list[dict[str, Any]]:
        """Put the newest checkpoint into the parts and cut metrics.jsonl to it; without one, begin anew.

        Returns:
            The records that remain.

        Raises:
            InputError: there are checkpoints but none can be used, or they are of another model or optimizer,
                or of other options, rows or losses than it has now.
        """
        found = checkpoint_file.newest(folder)
        if found is None:
            folder.metrics.cut(0)
            return []
        path, about, state = found.path, found.about, found.state
        check_options(folder.path, about["options"], folder.options)  # config.toml may have been edited since
        check_given(folder.path, about["given"], self._given)
        for name, part in self._parts.items():
            try:
                load(part, state[name])
            except (RuntimeError, ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"The checkpoint '{path}' is of another {name}: {first_line(error)}."
                ) from error
        if found.problem:
            warnings.warn(f"{found.problem}; going on from step {about['step']:,}", stacklevel=2)
        for newer in found.newer:
            with contextlib.suppress(OSError):
                newer.unlink()
        for what, was in about["sources"].items():
            if self._sources.get(what) != was:
                said = f"the Python of the {what}'s class is not what it was when the run was begun"
                warnings.warn(f"{said}; going on with what it is now", stacklevel=2)
        self._sources = about["sources"]
        checkpoint_file.drop_old(folder)
        self.step = about["step"]
        folder.metrics.cut(about["metrics"], found.damaged)
        return found.records

    def _pack(self) -> tuple[Any, dict[str, Tensor]]:
        return pack({name: part.state_dict() for name, part in self._parts.items()}, "the run")

    def _trained(self) -> list[Tensor]:
        return [p for group in self._optimizer.param_groups for p in group["params"] if p.requires_grad]

    def _sound(self) -> bool:
        return all(bool(p.isfinite().all()) for p in self._trained() if id(p) not in self._unbounded)


def ended(folder: RunFolder, model: nn.Module, loss: nn.Module | None) -> Run | None:
    """The run in the folder if it has nothing to go on with; the model and the loss get their weights.

    Raises:
        InputError: it diverged.
    """
    check_not_diverged(folder)
    if folder.status != "finished":
        return None
    saved.load(folder.path, model)
    if loss is not None:
        saved.load(folder.path, loss, saved.LOSS)
    return Run.load(folder.path)


def load(part: Part, state: Any) -> None:
    """Give a part its state back; an optimizer in the dtypes that it had.

    torch casts the state of an optimizer to the dtype of its parameters, which loses what a float32 buffer
    beside a bfloat16 parameter is for.
    """
    if not isinstance(part, Optimizer):
        part.load_state_dict(state)
        return
    groups = part.param_groups
    part.load_state_dict(state)
    for group, loaded in zip(groups, part.param_groups, strict=True):
        group.clear()
        group.update(loaded)
    part.param_groups = groups  # whoever holds them, as a training step may, sees what was loaded
    params = [p for group in groups for p in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    for p, number in zip(params, numbers, strict=True):
        if number in state["state"] and p in part.state:
            part.state[p] = _exact(part.state[p], state["state"][number])


def _exact(loaded: Any, kept: Any) -> Any:
    """What was kept, on the device where it was loaded to, and in memory of its own."""
    if isinstance(kept, Tensor):
        here = loaded.device if isinstance(loaded, Tensor) else "cpu"
        same = isinstance(loaded, Tensor) and loaded.dtype == kept.dtype
        return loaded if same else kept.to(here, copy=True)
    if isinstance(kept, dict) and isinstance(loaded, dict):
        return {key: _exact(loaded.get(key), value) for key, value in kept.items()}
    if isinstance(kept, (list, tuple)) and isinstance(loaded, (list, tuple)):
        return type(kept)(_exact(a, b) for a, b in zip(loaded, kept, strict=True))
    return kept
