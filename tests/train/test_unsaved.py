"""Buffers that no checkpoint holds are told where training changes them, and only there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot import fit
from surefoot.train.unsaved import Unsaved

X, Y = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3


class Moving(nn.Linear):
    def __init__(self, persistent: bool = False) -> None:
        super().__init__(3, 3)
        self.register_buffer("ema", torch.zeros(3), persistent=persistent)
        self.register_buffer("mask", torch.tensor([float("nan"), float("-inf"), 1.0]), persistent=False)
        self.register_buffer("cache", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.ema.mul_(0.9).add_(x.mean(0), alpha=0.1)
        self.cache = torch.arange(float(1 + len(x)))
        return super().forward(x - self.ema)


def test_a_buffer_that_a_resumed_run_would_lack_is_told_once(tmp_path: Path) -> None:
    options: Any = {"batch_size": 4, "epochs": 3, "checkpoint_every": "1 epoch", "progress": False}
    with pytest.warns(UserWarning, match=r"^Training changes the buffer '0\.ema', which is") as told:
        fit(nn.Sequential(Moving()), (X, Y), out=tmp_path / "run", **options)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(nn.Sequential(Moving()), (X, Y), **options)
        fit(nn.Sequential(Moving()), (X, Y), out=tmp_path / "next", **options | {"checkpoint_every": "never"})
        fit(nn.Sequential(Moving(True)), (X, Y), out=tmp_path / "third", **options)


def test_what_a_module_saves_by_itself_is_saved() -> None:
    class Extra(Moving):
        def get_extra_state(self) -> Tensor:
            return self.ema.clone()

        def set_extra_state(self, state: Tensor) -> None:
            self.ema.copy_(state)

    net = Extra()
    unsaved = Unsaved([net])
    net(X)
    unsaved.warn()
