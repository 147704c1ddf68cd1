from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from surefoot.train.rows.portions import at_once


def convolution(channels: int, made: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, made, 3, padding=1), nn.AdaptiveAvgPool2d(1))


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError


@pytest.mark.parametrize(
    ("size", "model", "rows"),
    [
        ((784,), nn.Linear(784, 256), 1000),
        ((28, 28), nn.Sequential(nn.Flatten(), nn.Linear(784, 256)), 1000),
        ((3, 32, 32), nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), 682),
        ((1, 28, 28), convolution(1, 16), 167),
        ((1, 64, 64), convolution(1, 16), 32),
        ((3, 224, 224), convolution(3, 8), 8),  # each is work enough
        ((28, 28), nn.LSTM(28, 64, batch_first=True), 1000),
        ((3, 32, 32), Failing(), 85),
        ((3, 224, 224), Failing(), 32),  # as many as are trained on
    ],
)
def test_rows_of_which_a_layer_makes_much_are_evaluated_in_smaller_batches(
    size: tuple[int, ...], model: nn.Module, rows: int
) -> None:
    sample = torch.zeros(2, *size), torch.zeros(2)
    assert at_once(model, sample, 32) == rows
    assert at_once(model, sample, 32, 4) == 8  # a part: memory is short
    assert at_once(model, None, 32) == 32


def test_tokens_of_which_a_layer_makes_wide_vectors() -> None:
    sample = torch.zeros(2, 128, dtype=torch.int64), torch.zeros(2)
    assert at_once(nn.Embedding(5, 256), sample, 32) == 64
    assert at_once(Failing(), sample, 32) == 32  # so many are assumed


def test_nothing_is_left_of_the_look() -> None:
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Flatten(), norm, nn.Dropout(), nn.Linear(4, 2))
    drawn = torch.get_rng_state()
    at_once(model, (torch.ones(2, 4), torch.zeros(2)), 32)
    assert not any(part._forward_hooks for part in model.modules())
    assert norm.num_batches_tracked == 0
    assert model.training
    assert torch.equal(drawn, torch.get_rng_state())
