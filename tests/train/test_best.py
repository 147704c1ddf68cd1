from __future__ import annotations

from pathlib import Path

import pytest
import safetensors
import torch
from torch import nn

from surefoot.train.best import Best
from surefoot.train.folder.folder import RunFolder


def test_the_best_stays_and_the_first_of_equals(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    best = Best(model, "accuracy", folder)
    best.write()
    assert not (folder.path / "best.safetensors").exists()  # nothing was validated
    for step, value in enumerate([0.5, None, 0.7, 0.7, 0.6], 1):
        torch.nn.init.constant_(model.weight, step)
        best.offer(value, step)
    best.write()
    with safetensors.safe_open(folder.path / "best.safetensors", "pt") as file:
        assert file.get_tensor("weight").item() == 3
        assert file.metadata() == {"surefoot": '{"step": 3, "accuracy": 0.7}'}
    again = Best(model, "accuracy", folder)
    again.load_state_dict(best.state_dict())
    before = (folder.path / "best.safetensors").read_bytes()
    again.offer(0.65, 9)
    again.write()
    assert (folder.path / "best.safetensors").read_bytes() == before


def test_of_a_loss_the_least_is_best(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    model = nn.Linear(1, 1)
    best = Best(model, "loss", folder)
    for step, value in enumerate((0.5, 0.25, 0.75), 1):
        with torch.no_grad():
            model.weight.fill_(step)
        best.offer(value, step)
    best.write()
    with safetensors.safe_open(tmp_path / "run/best.safetensors", "pt") as file:
        assert file.get_tensor("weight").item() == 2
        assert '"loss": 0.25' in file.metadata()["surefoot"]


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    best = Best(nn.Linear(1, 1), "accuracy", None)
    before = best.state_dict()
    best.offer(1.0, 1)
    best.write()
    assert best.state_dict() == before
    assert not list(tmp_path.iterdir())
