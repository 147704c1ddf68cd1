from __future__ import annotations

import pytest
import torch

from surefoot.errors import InputError
from surefoot.train import device


def test_a_device_by_name() -> None:
    assert device.pick("cpu") == torch.device("cpu")
    assert device.pick(torch.device("cpu")) == torch.device("cpu")
    assert device.pick() == device.pick("auto")
    for name in ("cuda:99", "quantum", "vulkan"):
        with pytest.raises(InputError) as caught:
            device.pick(name)
        assert str(caught.value) == f"There is no device '{name}' here; auto would take {device.pick()}."
