"""Whose code raised."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train.blame import blaming


def test_what_nobody_s_class_raises_stays_as_it_is() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(ZeroDivisionError), blaming({"model": "own.py:Net"}, {"model": model}):
        1 / 0  # noqa: B018
    with pytest.raises(InputError, match="as it was"), blaming({"model": "own.py:Net"}, {"model": model}):
        raise InputError("as it was.")
    with pytest.raises(TypeError), blaming({"model": "mlp"}, {"model": model}):
        model(3)
    where = pytest.raises(InputError, match=r"raises TypeError: .*\(linear.py, line")
    with where, blaming({"model": "torch.nn:Linear"}, {"model": model}):
        model(3)


def test_what_an_optimizer_inherits_is_its_own() -> None:
    model = nn.Linear(1, 1)
    model(torch.ones(1)).sum().backward()
    optimizer = torch.optim.AdamW(model.parameters(), capturable=True)  # on the CPU, adam.py refuses that
    where = pytest.raises(InputError, match=r"^The optimizer 'torch.optim:AdamW' raises .*\(adam.py, line")
    with where, blaming({"optimizer": "torch.optim:AdamW"}, {"optimizer": optimizer}):
        optimizer.step()
