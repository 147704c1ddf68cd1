from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train import device


def test_a_device_by_name() -> None:
    assert device.pick("cpu") == torch.device("cpu")
    assert device.pick(torch.device("cpu")) == torch.device("cpu")
    assert device.pick() == device.pick("auto")
    for name in ("cuda:99", "quantum", "vulkan"):
        with pytest.raises(InputError) as caught:
            device.pick(name)
        assert str(caught.value) == f"There is no device '{name}' here; auto would use {device.pick()}."


def test_modules_are_moved_and_nothing_else() -> None:
    model, loss = nn.Linear(2, 2), nn.CrossEntropyLoss(torch.ones(2))
    device.move(torch.device("meta"), model, loss, "cross-entropy", None)
    assert model.weight.is_meta
    assert loss.weight is not None
    assert loss.weight.is_meta
