from __future__ import annotations

import copy
import threading

import torch
from torch import nn

from surefoot.train import alone
from surefoot.train.fitting import fit

X = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


NET = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))


def weights() -> list[float]:
    model = copy.deepcopy(NET)
    fit(model, (X, Y), epochs=2, progress=False)
    return [float(p.detach().sum()) for p in model.parameters()]


def test_trainings_in_threads_come_out_as_alone() -> None:
    """Random states are the process's: side by side, dropout of one would draw the numbers of another."""
    expected, before = weights(), torch.get_rng_state()
    found: list[list[float]] = []
    threads = [threading.Thread(target=lambda: found.append(weights())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one == expected for one in found)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with alone._ONE:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    before = alone._ONE
    try:
        alone._renew()  # as after a fork
        assert weights()
    finally:
        alone._ONE = before
        done.set()
        thread.join()
