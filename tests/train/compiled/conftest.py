"""A model with everything that a compiled step must keep: dropout, batch norm, frozen weights, two groups."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

import surefoot

K, BATCH = 3, 8


class Net(nn.Module):
    """Dropout draws random numbers, batch norm moves buffers, one layer is frozen, one is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.frozen, self.unused = nn.Linear(6, 8).requires_grad_(False), nn.Linear(2, 2)
        self.dropout = nn.Dropout(0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.dropout(torch.relu(self.norm(self.first(x) + self.frozen(x)))))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all: a compilation takes its time."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _in_cache(cache, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(cache))


@pytest.fixture
def job():
    """Make (model, optimizer, x, y), the same each time, the optimizer with the options given."""

    def make(**options: object):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, x, y = Net(), torch.randn(K, BATCH, 6), torch.randint(0, 3, (K, BATCH))
        groups = [
            {"params": [*model.first.parameters(), *model.frozen.parameters(), *model.unused.parameters()]},
            {"params": [*model.norm.parameters(), *model.last.parameters()], "lr": 0.02, "momentum": 0.5},
        ]
        return model, surefoot.SGD(groups, lr=0.1, **{"momentum": 0.9, **options}), x, y

    return make


def falling(stop):
    """A schedule by which lr falls, with a Ctrl-C after the step number `stop`; 0 is never."""
    pending = [stop] if stop else []  # both groups ask for their lr at each step

    def factor(step):
        if pending == [step]:
            pending.pop()
            signal.raise_signal(signal.SIGINT)
        return 1 / (1 + 0.1 * step)

    return lambda optimizer: LambdaLR(optimizer, factor)


def eager_step(model, optimizer, clip=None):
    """The step as surefoot.train writes it."""

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return loss.detach()

    return step
