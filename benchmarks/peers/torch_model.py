"""The model of the torch peers."""

from job import HIDDEN
from torch import nn


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(HIDDEN, 10))
