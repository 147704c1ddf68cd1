"""What a training run did, in memory and read back from its folder."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot.errors import Diverged, rendered
from surefoot.runs import read
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.records import Records
from surefoot.train.progress import as_written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Interrupted", "Run", "RunDiverged"]


class Run:
    """The history of a run.

    Args:
        name: what it is called.
        metric: what a validation is judged by: "accuracy", "r2", "loss" or the name of one of the user's own.
        folder: where it is written, if anywhere.

    Attributes:
        records: every record in order, as metrics.jsonl has them, a line each.
        status: "running", "finished", "interrupted", "diverged" or "failed".

    Example:
        >>> run = Run("mlp", "accuracy")
        >>> run.add([{"kind": "epoch", "epoch": 1, "step": 250, "train_loss": 0.4, "valid_loss": 0.3,
        ...           "valid_accuracy": 0.92, "lr": 0.05, "seconds": 0.5}])
        >>> run
        <Run mlp: validation accuracy 92.00 % after 1 epoch, 250 steps, 0.5 s, running>
    """

    def __init__(self, name: str, metric: str, folder: RunFolder | None = None) -> None:
        self.name, self.metric = name, metric
        self.folder = None if folder is None else folder.path
        self.records = Records()
        self.status = "running"
        self._writer = folder

    @classmethod
    def load(cls, path: Path | str) -> Run:
        """Read a run back from its folder.

        Raises:
            InputError: the folder is no run's.
        """
        history = read(path)
        records = [dict(record) for record in history.records]
        measured = [key for record in records for key in record if key.startswith("valid_")]
        # each has the loss, and after it what it is judged by, if that is another thing
        own = [key for key in measured if key not in ("valid_loss", "valid_loss_mean")]
        metric = own[0].removeprefix("valid_") if own else "loss"
        run = cls(history.name, metric if measured else "accuracy")
        run.folder = Path(path)
        run.records = Records(record for record in records if record.get("kind") != "end")
        run.status = next((r["status"] for r in records if r.get("kind") == "end"), "running")
        return run

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Note what happened, in memory and in the folder."""
        records = list(records)
        self.records.extend(records)
        if self._writer is not None and records:
            self._writer.metrics.append(records)

    def end(self, status: str, **more: Any) -> None:
        """The run is over; `more` is what else the folder notes of that."""
        self.status = status
        if self._writer is not None:
            self._writer.metrics.append([{"kind": "end", "status": status, **more}])
            self._writer.close()

    @property
    def steps(self) -> list[dict[str, Any]]:
        """One record per training step: step, epoch, loss, lr.

        The loss is None where it ignores all targets of the batch.
        """
        return self.records.steps

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """One record per epoch: epoch, step, train_loss, lr, seconds and train_seconds (without validation).

        train_loss is the mean of the steps' losses, each as much as a batch weighs in a validation's loss: as
        its rows, or as its class numbers that the loss does not ignore, or as the weights of their classes.
        Where there are rows to validate on, also valid_loss and the metric of both, as train_accuracy and
        valid_accuracy; that of training rows only where they are tensors or arrays, and it can be told.
        """
        return [record for record in self.records.others if record["kind"] == "epoch"]

    @property
    def validations(self) -> list[dict[str, Any]]:
        """Every record that has a validation loss, in order."""
        return [record for record in self.records.others if "valid_loss" in record]

    @property
    def last(self) -> float | None:
        """The metric at the last validation."""
        return self.validations[-1][f"valid_{self.metric}"] if self.validations else None

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the validation with the best metric; the first of equals."""
        key = f"valid_{self.metric}"
        scored = [record for record in self.validations if record[key] is not None]
        choose = min if self.metric == "loss" else max
        return choose(scored, key=lambda record: record[key], default=None)

    @property
    def seconds(self) -> float:
        """How long the finished epochs took, validation included."""
        return float(sum(record["seconds"] for record in self.epochs))

    def plot(self) -> Figure:
        """Loss and metric over the run, training against validation."""
        from surefoot.plot import curves

        return curves.curves([self])

    def png(self) -> bytes:
        """The plot as a PNG picture."""
        from surefoot.plot import painter

        return painter.begun(self.name, self.records.drawn, self.folder)()

    @property
    def closing(self) -> str:
        """What the run came to: the metric at its end, the best if that was before, and how long it took."""
        steps = self.records.last
        text = f"{_count(len(self.epochs), 'epoch')}, {_count(steps, 'step')}, {self.seconds:.1f} s"
        if self.last is None or self.best is None:
            return text
        heading, best = as_written(self.metric)[0], self.best[f"valid_{self.metric}"]
        last, best = self.say(self.last), self.say(best)
        where = "" if last == best else f" (best {best}, epoch {self.best['epoch']})"
        return f"validation {heading} {last}{where} after {text}"

    def __repr__(self) -> str:
        status = "" if self.status == "finished" else f", {self.status}"
        return f"<Run {self.name}: {self.closing}{status}{'' if self.folder is None else f'; {self.folder}'}>"

    def say(self, value: float) -> str:
        """A value of the metric as it is written: 96.50 %, or 0.8123."""
        return as_written(self.metric)[1](value)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP, after the step under way was finished and everything saved.

    Attributes:
        run: what was done.
        exit_code: what a process ends with: 130, or 143 for SIGTERM, 129 for SIGHUP.
        goes_on: whether there is a checkpoint to go on from.
    """

    def __init__(self, text: str, run: Run, number: int | None = None, goes_on: bool = True) -> None:
        super().__init__(text)
        self.run, self.exit_code, self.goes_on = run, 128 + (number or signal.SIGINT), goes_on

    def _render_traceback_(self) -> list[str]:
        return rendered(self)


class RunDiverged(Diverged):
    """The loss or lr became NaN or inf.

    `run` is what was done before; the model has the last copy of its weights that was made while it was
    finite, at the start or about every 100 steps.
    """

    def __init__(self, text: str, run: Run) -> None:
        super().__init__(text)
        self.run = run


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
