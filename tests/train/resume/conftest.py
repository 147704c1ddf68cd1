"""A small job that can be stopped in any step, and resumed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot import SGD
from surefoot.plot import painter
from surefoot.train.fitting import fit
from surefoot.train.run import Run


class Job:
    """A classification of 50 rows: 3 epochs of 5 steps."""

    last = 15

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(50, 6, generator=generator)
        self.y = (self.x @ torch.randn(6, 3, generator=generator)).argmax(1)

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        return self.x, self.y

    def model(self) -> nn.Module:
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            return nn.Sequential(
                nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
            )

    def run(
        self, out: Path, *, stop: int = 0, number: int = signal.SIGINT, **options: Any
    ) -> tuple[nn.Module, Run]:
        """Train into `out`; a signal comes within step number `stop` of this call."""
        net = options.pop("model", None) or self.model()
        settings = {
            "train": self.rows,
            "valid": (self.x[:20], self.y[:20]),
            "optimizer": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
            "loss": stopping(stop, number),
            "epochs": 3,
            "batch_size": 10,
            "progress": False,
        }
        return net, fit(net, out=out, **{**settings, **options})

    def same(self, one: Path, other: Path) -> bool:
        """Whether both runs left the same weights and metrics, bit for bit."""
        names = ("model.safetensors", "best.safetensors")
        weights = all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
        return weights and metrics(one) == metrics(other)


def stopping(after: int, number: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss that is there for a signal to come within its step number `after`."""
    count = 0

    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal count
        if torch.is_grad_enabled():
            count += 1
            if count == after:
                signal.raise_signal(number)
        return functional.cross_entropy(output, target)

    return loss


def metrics(out: Path) -> list[dict[str, Any]]:
    """All that metrics.jsonl says, but how long it took."""
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(
        painter, "begun", lambda name, records, folder: bytes
    )  # drawing takes longer than all else here
    return Job()


@pytest.fixture
def whole(job: Job, tmp_path: Path) -> Path:
    """The folder of the uninterrupted run."""
    job.run(tmp_path / "whole")
    return tmp_path / "whole"
