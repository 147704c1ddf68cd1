from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train import device, models


def test_a_device_by_name() -> None:
    assert device.pick("cpu") == torch.device("cpu")
    assert device.pick(torch.device("cpu")) == torch.device("cpu")
    assert device.pick() == device.pick("auto")
    for name in ("cuda:99", "quantum", "vulkan"):
        with pytest.raises(InputError) as caught:
            device.pick(name)
        assert str(caught.value) == f"There is no device '{name}' here; auto would take {device.pick()}."


@pytest.mark.parametrize(
    ("name", "hidden", "batch_size", "one"),
    [
        ("mlp", (256,), 32, True),  # 2 · 203,264 · 3 · 32 = 39 million operations
        ("mlp", (2000,), 32, False),  # 305 million
        ("mlp", (256,), 500, False),
        ("cnn", (16, 32), 32, False),  # few parameters, each used many times
        ("linear", None, 32, True),
    ],
)
def test_small_steps_get_one_thread(
    name: str, hidden: tuple[int, ...] | None, batch_size: int, one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    model = models.build(name, (28, 28), 10, hidden=hidden)
    before = torch.get_rng_state()
    assert device.threads(model, (28, 28), batch_size) == (1 if one else 8)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_validation_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    model = models.build("mlp", (28, 28), 10)
    assert device.threads(model, (28, 28), 32, validated=8) == 1  # 2,000 rows every 250 steps
    assert device.threads(model, (28, 28), 32, validated=2000) == 8  # after every step, as in the lecture


def test_what_cannot_be_counted_keeps_torchs_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert device.threads(nn.LSTM(4, 4), (3, 4), 32) == 8
    assert device.threads(nn.Linear(5, 1), (3,), 32) == 8
