"""An epoch of a single batch, as of gradient descent on all rows: fit beside a loop written by hand.

python benchmarks/full_batch.py --rounds 7
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

import surefoot
from surefoot.train import fit

EPOCHS = 300
X = torch.linspace(-1, 1, 64).reshape(-1, 1)
Y = 3 * X + 2


def by_fit(optimizer: type[torch.optim.Optimizer]) -> None:
    model = nn.Linear(1, 1)
    made = optimizer(model.parameters(), lr=0.01, momentum=0.9)
    fit(model, (X, Y), optimizer=made, epochs=EPOCHS, batch_size=64, progress=False)


def by_hand(optimizer: type[torch.optim.Optimizer]) -> None:
    model = nn.Linear(1, 1)
    made = optimizer(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(EPOCHS):
        made.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        made.step()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    ways = {
        "fit, surefoot.SGD": lambda: by_fit(surefoot.SGD),
        "by hand, surefoot.SGD": lambda: by_hand(surefoot.SGD),
        "by hand, torch.optim.SGD": lambda: by_hand(torch.optim.SGD),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for at in range(rounds + 1):  # the first warms up
        for name, way in ways.items():
            began = time.process_time()
            way()
            if at:
                times[name].append((time.process_time() - began) / EPOCHS * 1e6)
    for name, found in times.items():
        print(f"{name}: {statistics.median(found):.0f} µs an epoch ({min(found):.0f} … {max(found):.0f})")


if __name__ == "__main__":
    main()
