"""By how many threads a run is taken: small steps by one, or by as many as may share them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot.train import models
from surefoot.train.config import Config
from surefoot.train.job import resume, train
from surefoot.train.steps import threads

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "hidden", "batch_size", "small"),
    [
        ("mlp", (256,), 32, True),  # 2 · 203,264 · 3 · 32 = 39 million operations
        ("mlp", (2000,), 32, False),  # 305 million
        ("mlp", (256,), 500, False),
        ("cnn", (16, 32), 32, False),  # few parameters, each used many times
        ("linear", None, 32, True),
    ],
)
def test_which_steps_are_small(
    name: str, hidden: tuple[int, ...] | None, batch_size: int, small: bool
) -> None:
    model = models.build(name, (28, 28), 10, hidden=hidden)
    before = torch.get_rng_state()
    assert threads.small(model, torch.zeros(1, 28, 28), batch_size) == small
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_validation_counts_too() -> None:
    model = models.build("mlp", (28, 28), 10)
    assert threads.small(model, torch.zeros(1, 28, 28), 32, validated=8)  # 2,000 rows every 250 steps
    assert not threads.small(
        model, torch.zeros(1, 28, 28), 32, validated=2000
    )  # after every step, as in the lecture


class Headed(nn.Module):
    """Most of its work is that of a layer whose output is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(4, 512, batch_first=True), nn.Linear(512, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


class Ends(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)


class Scripted(nn.Linear):
    def register_forward_hook(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("register_forward_hook is not supported on ScriptModules")


def test_what_cannot_be_counted_is_not_small() -> None:
    assert not threads.small(Headed(), torch.zeros(1, 100, 4), 32)
    assert not threads.small(Ends(3, 1), torch.zeros(1, 3), 32)
    assert not threads.small(nn.LSTM(4, 4), torch.zeros(1, 3, 4), 32)
    assert not threads.small(nn.Linear(5, 1), torch.zeros(1, 3), 32)
    assert not threads.small(nn.Sequential(nn.Linear(3, 3), Scripted(3, 1)), torch.zeros(1, 3), 32)
    compiled = nn.Linear(3, 1)
    compiled._compiled_call_impl = lambda *_: 1 / 0  # would be compiled for a single row, as none trains on
    assert not threads.small(compiled, torch.zeros(1, 3), 32)
    assert threads.small(nn.Linear(3, 1), torch.zeros(1, 3), 32)


def test_a_model_that_writes_into_its_input_leaves_the_row() -> None:
    x = -torch.ones(1, 3)
    assert threads.small(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 1)), x, 32)
    assert x.eq(-1).all()


def test_a_run_goes_by_one_thread_or_more_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(out: str, **options: Any) -> str:
        with threads.by(2):
            train(Config(epochs=1, train_fraction=0.1, out=tmp_path / out, **options))
            assert torch.get_num_threads() == 2  # as before
        return capsys.readouterr().out

    assert "cpu, up to 2 threads" in said("free", hidden=(16,))
    assert "threads" not in (tmp_path / "free" / "config.toml").read_text()  # a resumed run finds it out anew
    assert "cpu, 1 thread\n" in said("one", hidden=(16,), threads=1)
    assert "cpu, 1 thread\n" in said("clipped", hidden=(16,), clip=1.0)
    assert "cpu, 2 threads" in said("large", hidden=(3000,))
    assert "threads = 2" in (tmp_path / "large" / "config.toml").read_text()
    with threads.by(1):
        assert resume(tmp_path / "free").status == "finished"
    assert "is finished; there is nothing left to do" in capsys.readouterr().out
