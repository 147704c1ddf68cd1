"""What happens during a run, noted without waiting for the device: losses are fetched in bulk."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from surefoot.train.progress import Progress
from surefoot.train.run import Run

__all__ = ["History", "NotFinite"]

_SECONDS = 0.1  # losses are fetched so often, for the bar and the file
_STEPS = 100  # and at least once in so many steps


class NotFinite(Exception):
    """`what` (a loss) was NaN or inf at `step`; the weights were good until before step `bad`."""

    def __init__(self, what: str, value: float, step: int, epoch: int, bad: int) -> None:
        super().__init__(what, value, step)
        self.what, self.value, self.step, self.epoch, self.bad = what, value, step, epoch, bad


class History:
    """Collects steps and validations, and hands them in bulk to the run and the bar.

    Args:
        run: where the records go.
        progress: what shows them.
        steps: steps in an epoch.
    """

    def __init__(self, run: Run, progress: Progress, steps: int) -> None:
        self.run, self.progress, self.steps = run, progress, steps
        self.step = 0
        self._steps: list[tuple[Tensor, float, int]] = []  # loss, lr, rows of those not yet fetched
        self._valid: dict[int, Tensor] = {}  # step -> (loss, metric), likewise

    def begin(self, epoch: int) -> None:
        """An epoch begins."""
        self.epoch = epoch
        self._began = time.perf_counter()
        self._due = self._began + _SECONDS
        self._loss, self._rows = 0.0, 0
        self._seen: list[dict[str, Any]] = []  # this epoch's validations
        self.progress.begin(epoch)

    def trained(self, loss: Tensor, lr: float, rows: int) -> None:
        """One step was made."""
        self.step += 1
        self._steps.append((loss, lr, rows))

    def validated(self, result: Tensor) -> None:
        """The validation rows were gone through after this step: (loss, metric)."""
        self._valid[self.step] = result

    @property
    def due(self) -> bool:
        """Whether it is time to fetch."""
        return self.step % _STEPS == 0 or time.perf_counter() > self._due

    def fetch(self) -> None:
        """Wait for the device, and note what came since the last time.

        Raises:
            NotFinite: a loss is NaN or inf; what came before it is noted.
        """
        if not self._steps:
            return
        losses = torch.stack([loss for loss, _, _ in self._steps]).tolist()
        results = torch.stack(list(self._valid.values())).tolist() if self._valid else []
        valid = dict(zip(self._valid, results, strict=True))
        records: list[dict[str, Any]] = []
        try:
            first = self.step - len(self._steps) + 1
            for step, loss, (_, lr, rows) in zip(
                range(first, self.step + 1), losses, self._steps, strict=True
            ):
                if not math.isfinite(loss):
                    raise NotFinite("loss", loss, step, self.epoch, bad=step)
                records.append({"kind": "step", "step": step, "epoch": self.epoch, "loss": loss, "lr": lr})
                self._loss += loss * rows
                self._rows += rows
                if step in valid:
                    if not math.isfinite(valid[step][0]):
                        raise NotFinite("validation loss", valid[step][0], step, self.epoch, bad=step + 1)
                    self._seen.append(self._validation(step, *valid[step]))
                    if step % self.steps:  # the epoch's own record has that of its last step
                        records.append(self._seen[-1])
        finally:
            self.run.add(records)
            self._steps, self._valid = [], {}
        self.progress.update(self._rows, self._loss / self._rows)
        self._due = time.perf_counter() + _SECONDS

    def end(self, lr: float) -> None:
        """The epoch is over, or the run stopped within it: then it gets no record."""
        self.fetch()
        if self.step % self.steps:
            return
        record = {
            "kind": "epoch",
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self._loss / self._rows,
        }
        if self._seen and self._seen[-1]["step"] == self.step:
            record |= {key: value for key, value in self._seen[-1].items() if key.startswith("valid_")}
        metric = f"valid_{self.run.metric}"
        values = [seen[metric] for seen in self._seen if seen[metric] is not None]
        if len(values) > 1:
            record[f"{metric}_mean"] = math.fsum(values) / len(values)
        record |= {"lr": lr, "seconds": round(time.perf_counter() - self._began, 6)}
        self.run.add([record])
        self.progress.end(record)

    def close(self) -> None:
        """No more will come, for whatever reason."""
        self.progress.end()

    def _validation(self, step: int, loss: float, metric: float) -> dict[str, Any]:
        value = metric if math.isfinite(metric) else None  # R² where the targets do not vary
        return {
            "kind": "valid",
            "step": step,
            "epoch": self.epoch,
            "valid_loss": loss,
            f"valid_{self.run.metric}": value,
        }
