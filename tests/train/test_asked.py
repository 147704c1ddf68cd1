from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import surefoot
from surefoot.errors import InputError

GIVE = "is an option of the optimizer; give optimizer=lambda p: surefoot.SGD"
ROWS = (torch.zeros(4, 2), torch.arange(4) % 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"lr": 0.1},
            "lr is an option of the optimizer; give optimizer=lambda p: surefoot.SGD(p, lr=0.1).",
        ),
        (
            {"epochs": 2, "learning_rate": 0.1, "momentum": 0.9},
            "learning_rate is an option of the optimizer; give"
            " optimizer=lambda p: surefoot.SGD(p, lr=0.1, momentum=0.9).",
        ),
        (
            {"nesterov": True},
            f"nesterov {GIVE}(p, nesterov=True, momentum=0.9).",
        ),
        (
            {"lr": torch.tensor(0.2), "learning_rate": 0.1},
            "lr is an option of the optimizer; give optimizer=lambda p: surefoot.SGD(p, lr=0.1).",
        ),
        (
            {"lr": torch.tensor(0.2)},
            "lr is an option of the optimizer; give optimizer=lambda p: surefoot.SGD(p, lr=…).",
        ),
        (
            {"optimizer": torch.optim.Adam, "lr": 0.1},
            "lr is an option of the optimizer; give it to the optimizer.",
        ),
        (
            {"batchsize": 8},
            "Unknown option 'batchsize' of fit; did you mean 'batch_size'? Known: accumulate, ",
        ),
    ],
)
def test_options_that_fit_does_not_have(options: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        surefoot.fit(nn.Linear(2, 2), ROWS, **options)
    assert str(caught.value).startswith(said)
