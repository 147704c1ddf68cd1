"""What is said of a run that ended as asked, and taught the model nothing."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from surefoot.train import Interrupted, fit

X = torch.linspace(-1, 1, 64).reshape(-1, 1)


class Cut(nn.Module):
    """Its output does not go by its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * self.line(x)


def _told(model: nn.Module, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run = fit(model, (X, 3 * X), progress=False, **options)
    assert run.status == "finished"
    return [str(warning.message) for warning in found]


def test_a_loss_that_rose_is_told_with_the_lr() -> None:
    torch.manual_seed(0)
    (said,) = _told(nn.Linear(1, 1), epochs=3, batch_size=64, optimizer=_sgd(20.0))
    assert said.startswith("The training loss rose from ")
    assert said.endswith(" in the last epoch; try a smaller lr than 20, such as 2.")


def test_parameters_that_never_changed_are_told() -> None:
    (said,) = _told(Cut(), epochs=2, batch_size=16, optimizer=_sgd(0.1))
    assert said == (
        "No parameter changed in 8 steps: every gradient was 0, or the lr, 0.1, is too small to change"
        " numbers of this precision."
    )


@pytest.mark.parametrize("lr", [1e-3, 0.1])
def test_of_a_run_that_learns_nothing_is_said(lr: float) -> None:
    assert _told(nn.Linear(1, 1), epochs=2, batch_size=16, optimizer=_sgd(lr)) == []


def test_a_resumed_run_may_end_by_steps_too_small_to_be_seen(tmp_path: Path) -> None:
    cut = Cut()
    calls = iter(range(100))

    def interrupt(*of: Any) -> None:
        if next(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    hook = cut.register_forward_hook(interrupt)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "optimizer": _sgd(0.1), "out": tmp_path / "run"}
    with pytest.raises(Interrupted):
        fit(cut, (X, 3 * X), progress=False, **options)
    hook.remove()
    assert _told(cut, **options, resume=True) == []


def _sgd(lr: float) -> Any:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)
