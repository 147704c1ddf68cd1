"""When a checkpoint is written: of weights that are finite, whatever else the model holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot import SGD, fit
from surefoot.train.run import RunDiverged

X = torch.randn(32, 5, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(32) % 3


class Masked(nn.Module):
    """Attention with a mask of -inf that is a parameter."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(4, 8), nn.Linear(8, 3)
        self.mask = nn.Parameter(torch.full((5, 5), float("-inf")).triu(1), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        h = self.into(x)
        return self.out((torch.softmax(h @ h.mT + self.mask, -1) @ h).mean(1))


def steps(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "checkpoints").glob("*"))


@pytest.mark.parametrize("learned", [False, True])
def test_what_is_infinite_from_the_start_switches_no_checkpoint_off(tmp_path: Path, learned: bool) -> None:
    options: Any = {"epochs": 1, "batch_size": 8, "checkpoint_every": "1 step", "progress": False}
    fit(Masked(learned), (X, Y), optimizer=lambda p: SGD(p, lr=0.1), out=tmp_path / "run", **options)
    assert steps(tmp_path / "run") == ["step-000000003", "step-000000004"]


def test_a_step_that_spoils_the_weights_gets_none(tmp_path: Path) -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == 3:
            output.register_hook(lambda gradient: gradient * float("inf"))  # its loss is finite
        return nn.functional.cross_entropy(output, target)

    count = 0
    options: Any = {"epochs": 2, "batch_size": 8, "checkpoint_every": "1 step", "progress": False}
    with pytest.raises(RunDiverged):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(20, 3)), (X, Y), loss=loss, out=tmp_path / "run", **options)
    assert steps(tmp_path / "run") == ["step-000000001", "step-000000002"]
