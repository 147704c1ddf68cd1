"""What happens during a run, noted without waiting for the device: losses are fetched in bulk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.objective.objective import Objective, evaluate
from surefoot.train.progress import Progress
from surefoot.train.rows.batch import Batches
from surefoot.train.rows.inputs import Inputs
from surefoot.train.run import Run
from surefoot.train.steps.notfinite import NotFinite

__all__ = ["History"]

_SECONDS = 0.1  # losses are fetched so often, for the bar and the file
_STEPS = 100  # and at least once in so many steps


class History:
    """Collects steps and validations, and hands them in bulk to the run and the bar.

    Args:
        run: where the records go.
        progress: what shows them.
        steps: steps in an epoch.
        weigh: targets of a batch -> what its loss weighs in the mean over an epoch; None: its rows.

    Attributes:
        step: how many steps are done.
        owed: whether evaluations after the last step were broken off, and are still to be made.
    """

    def __init__(
        self,
        run: Run,
        progress: Progress,
        steps: int,
        weigh: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.run, self.progress, self.steps, self._weigh = run, progress, steps, weigh
        self.step = self._fetched = 0
        self.owed = False
        self._lr = 0.0  # of the last step
        self._finite = 0  # the last step whose loss was
        # loss, lr, rows, weight of those not yet fetched
        self._steps: list[tuple[Tensor, float, int, int | Tensor]] = []
        self._fresh()

    def _fresh(self) -> None:
        """What is collected of an epoch."""
        self._loss, self._weight, self._rows = 0.0, 0.0, 0
        self._seen: list[dict[str, Any]] = []  # its validations
        self._train: float | None = None  # the metric on training rows
        self._evaluating = 0.0  # seconds
        self._began = time.perf_counter()

    @property
    def inside(self) -> int:
        """Steps done of an epoch that is not complete."""
        return self.step % self.steps

    @property
    def current(self) -> int:
        """The number of the epoch that is next gone on with, from 1 on; of one whose end is owed, its own."""
        return (self.step - self.owed) // self.steps + 1

    @property
    def validated(self) -> bool:
        """Whether there was a validation after the last step."""
        return bool(self._seen) and self._seen[-1]["step"] == self.step

    def begin(self, epoch: int) -> None:
        """An epoch begins, or goes on in a resumed run."""
        self.epoch = epoch
        if not self.inside and not self.owed:
            self._fresh()
        self._due = time.perf_counter() + _SECONDS
        self.progress.begin(epoch)

    def trained(self, loss: Tensor, lr: float, x: Inputs, y: Tensor) -> None:
        """One step was made, of these inputs and targets."""
        self.step += 1
        self._lr, rows = lr, len(x)
        self._steps.append((loss, lr, rows, rows if self._weigh is None else self._weigh(y)))

    @property
    def due(self) -> bool:
        """Whether it is time to fetch."""
        return self.step // _STEPS > self._fetched // _STEPS or time.perf_counter() > self._due

    def fetch(self) -> None:
        """Wait for the device, and note what came since the last time.

        Raises:
            NotFinite: a loss is NaN or inf; what came before it is noted.
        """
        if not self._steps:
            return
        losses = torch.stack([loss for loss, *_ in self._steps]).tolist()
        weights: list[float] = [weight for *_, weight in self._steps]  # type: ignore[misc]
        if self._weigh is not None:
            weights = torch.stack(weights).tolist()  # type: ignore[arg-type]
        records: list[dict[str, Any]] = []
        try:
            first = self.step - len(self._steps) + 1
            for step, loss, weight, (_, lr, rows, _) in zip(
                range(first, self.step + 1), losses, weights, self._steps, strict=True
            ):
                if weight and not math.isfinite(loss):
                    raise NotFinite("loss", loss, step, self.epoch, bad=self._finite + 1)
                # the mean over nothing is NaN, and its gradient 0
                told = loss if weight else None
                records.append({"kind": "step", "step": step, "epoch": self.epoch, "loss": told, "lr": lr})
                self._rows += rows
                if weight:
                    self._loss += loss * weight
                    self._weight += weight
                    self._finite = step
        finally:
            self.run.add(records)
            self._steps, self._fetched = [], self.step
        if self._weight:
            self.progress.update(self._rows, self._loss / self._weight)
        self._due = time.perf_counter() + _SECONDS

    def refuse(self, lr: float) -> NoReturn:
        """The next step would have an lr of NaN or inf.

        Raises:
            NotFinite: always; of a loss from before, if that was not finite either.
        """
        self.fetch()
        raise NotFinite("lr", lr, self.step + 1, self.epoch, bad=self.step + 1)

    def validate(self, model: nn.Module, batches: Batches, objective: Objective) -> float | None:
        """Evaluate the validation rows after this step; returns their metric.

        Raises:
            NotFinite: their loss is NaN or inf, or one from before it is.
            InputError: the loss ignores all their targets.
        """
        loss, metric, counted = self._evaluate(model, batches, objective)
        if not counted:
            raise InputError("The loss ignores all targets of the validation rows.")
        if not math.isfinite(loss):
            raise NotFinite("validation loss", loss, self.step, self.epoch, bad=self._finite + 1)
        record = {"kind": "valid", "step": self.step, "epoch": self.epoch, "valid_loss": loss}
        self._seen.append(record | {f"valid_{objective.metric}": metric})  # of "loss", the same once more
        if self.inside:  # the epoch's own record has that of its last step
            self.run.add([self._seen[-1]])
        return metric

    def compare(self, model: nn.Module, batches: Batches, objective: Objective) -> None:
        """Evaluate training rows as the validation rows are, dropout off, for the epoch's record."""
        _, self._train, _ = self._evaluate(model, batches, objective)

    def end(self) -> None:
        """The epoch is over, or the run stopped within it or its evaluations: then it gets no record yet.

        Raises:
            InputError: the loss ignores all its targets.
        """
        self.fetch()
        if self.inside or self.owed:
            return
        if not self._weight:
            raise InputError(f"The loss ignores all targets of epoch {self.epoch}, so nothing is learned.")
        metric = self.run.metric
        record = {
            "kind": "epoch",
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self._loss / self._weight,
        }
        if self._train is not None:
            record[f"train_{metric}"] = self._train
        if self.validated:
            record |= {key: value for key, value in self._seen[-1].items() if key.startswith("valid_")}
        values = [seen[f"valid_{metric}"] for seen in self._seen if seen[f"valid_{metric}"] is not None]
        if len(values) > 1:
            record[f"valid_{metric}_mean"] = math.fsum(values) / len(values)
        seconds = time.perf_counter() - self._began
        record |= {
            "lr": self._lr,
            "seconds": round(seconds, 6),
            "train_seconds": round(seconds - self._evaluating, 6),
        }
        self.run.add([record])
        self.progress.end(record)

    def close(self) -> None:
        """No more will come, for whatever reason."""
        self.progress.end()

    def state_dict(self) -> dict[str, Any]:
        """How far the run is, and what is collected of an epoch under way, once all is fetched."""
        return {
            "step": self.step,
            "owed": self.owed,
            "lr": self._lr,
            "loss": self._loss,
            "weight": self._weight,
            "rows": self._rows,
            "seen": list(self._seen),
            "seconds": time.perf_counter() - self._began,
            "evaluating": self._evaluating,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.step, self._loss, self._rows = state["step"], state["loss"], state["rows"]
        self._finite = self.step  # a checkpoint is of finite weights
        self._weight = state["weight"]
        self._seen, self._evaluating = state["seen"], state["evaluating"]
        self.owed, self._lr = state["owed"], state["lr"]
        self._began = time.perf_counter() - state["seconds"]

    def _evaluate(
        self, model: nn.Module, batches: Batches, objective: Objective
    ) -> tuple[float, float | None, float]:
        self.fetch()  # the steps before it are no part of its time
        began = time.perf_counter()
        try:
            loss, metric, counted = evaluate(model, batches, objective).tolist()
        finally:
            self._evaluating += time.perf_counter() - began
        return loss, metric if math.isfinite(metric) else None, counted  # R² where the targets do not vary
