from __future__ import annotations

import torch
from torch import nn

from surefoot.train import modes
from surefoot.train.fitting import fit

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))


def test_evaluating_puts_each_part_back() -> None:
    model = net()
    model[1].eval()
    with modes.evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in model] == [True, False, True]
    assert model.training


def test_a_frozen_part_stays_frozen() -> None:
    model = net()
    norm = model[1].eval().requires_grad_(False)
    fit(model, (X, Y), (X, Y), epochs=2, progress=False)
    assert norm.running_mean.count_nonzero() == 0  # type: ignore[operator, union-attr]
    assert not norm.training
    assert model.training


def test_a_model_in_evaluation_mode_is_trained_and_comes_back_in_it() -> None:
    model = net().eval()
    fit(model, (X, Y), epochs=1, progress=False)
    assert model[1].running_mean.count_nonzero() > 0  # type: ignore[operator, union-attr]
    assert not model.training


class Merging(nn.Linear):
    """As LoRA's layers, which merge what they learned for evaluation, and take it out for training."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.switched: list[bool] = []

    def train(self, mode: bool = True) -> Merging:
        self.switched.append(mode)
        return super().train(mode)


def test_a_layer_is_told_when_it_is_trained_again() -> None:
    model = Merging()
    fit(model, (X, Y), (X, Y), epochs=2, progress=False)
    assert model.switched.count(True) == model.switched.count(False)
    assert model.switched[-1] is True
