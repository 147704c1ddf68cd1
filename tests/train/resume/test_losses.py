"""A loss with weights or buffers of its own: they are saved, and a resumed run goes on with them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from surefoot import SGD
from surefoot.train import evaluations
from surefoot.train.folder import saved
from surefoot.train.run import Interrupted


class Own(nn.Module):
    """A temperature to learn, and a moving mean; a signal comes within its step number `stop`."""

    mean: Tensor

    def __init__(self, stop: int = 0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("mean", torch.zeros(3))
        self.stop = stop

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * output.detach().mean(0)
            self.stop -= 1
            if self.stop == 0:
                signal.raise_signal(signal.SIGINT)
        return functional.cross_entropy((output - self.mean) * self.scale, target)


def run(job: Any, out: Path, stop: int = 0, **options: Any) -> Own:
    """Train model and loss, and be told to stop in that step."""
    loss = Own(stop)
    both = lambda params: SGD([*params, *loss.parameters()], lr=0.1, momentum=0.9)  # noqa: E731
    job.run(out, loss=loss, optimizer=both, **options)
    return loss


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_a_loss_holds_goes_on(job: Any, tmp_path: Path, accumulate: int) -> None:
    """Each process looks in its first step whether parts give the mean: the loss must not count that."""
    loss = run(job, tmp_path / "whole", accumulate=accumulate)
    assert not torch.equal(loss.scale, torch.ones(1))
    kept = Own()
    saved.load(tmp_path / "whole", kept, saved.LOSS)
    assert all(map(torch.equal, loss.state_dict().values(), kept.state_dict().values()))
    for stop in (2, 7):
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            run(job, out, stop, accumulate=accumulate)
        run(job, out, resume=True, accumulate=accumulate)
        assert job.same(tmp_path / "whole", out)
        files = [(folder / saved.LOSS).read_bytes() for folder in (tmp_path / "whole", out)]
        assert files[0] == files[1]


class Counts(nn.Module):
    """Counts how often it is called, in evaluation too; a signal comes within call number `stop`."""

    calls: Tensor

    def __init__(self, stop: int = 0) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.stop = stop

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.stop:
            signal.raise_signal(signal.SIGTERM)
        return functional.cross_entropy(output, target)


def test_what_counts_in_an_evaluation_counts_none_that_is_broken_off(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "_SHORT", 0.0)
    x, y = job.rows
    options = {"valid": DataLoader(TensorDataset(x, y), 10), "validate_every": "2 steps"}
    whole = Counts()
    job.run(tmp_path / "whole", loss=whole, **options)
    for stop in (9, 18):  # steps come as calls 1 and 2, five calls of a validation after them, and so on
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            job.run(out, loss=Counts(stop), **options)
        resumed = Counts()
        job.run(out, loss=resumed, resume=True, **options)
        assert job.same(tmp_path / "whole", out)
        assert resumed.calls == whole.calls


def test_a_finished_run_gives_the_loss_its_weights(job: Any, tmp_path: Path) -> None:
    first, again = run(job, tmp_path / "out"), run(job, tmp_path / "out", resume=True)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
