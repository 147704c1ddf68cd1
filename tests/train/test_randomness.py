from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from surefoot.train.randomness import Randomness, apart, drawing
from surefoot.train.rows.feed import feed

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    return float(torch.rand(())), random.random(), float(np.random.random())


def test_inside_it_is_the_seeds_and_outside_nothing_changed() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = [draw(), draw()]
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    outside = [draw()]
    with Randomness(2**40 + 2, CPU):
        inside = draw()
    outside.append(draw())
    with Randomness(2**40 + 2, CPU):
        assert draw() == inside
    with Randomness(1, CPU):
        assert all(a != b for a, b in zip(draw(), inside, strict=True))
    assert outside == expected


def test_what_is_drawn_apart_does_not_depend_on_what_is_drawn_between() -> None:
    def both() -> tuple[float, float]:
        return float(torch.rand(())), random.random()

    def drawn(epoch: int, between: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        torch.manual_seed(1)
        random.seed(1)
        found, others = [], []
        for batch in apart((both() for _ in range(4)), 7, epoch):
            found.append(batch)
            others += [both() for _ in range(between)]
        return found, others

    found, others = drawn(1, 1)
    assert len({*found, *others}) == 8
    assert drawn(1, 3)[0] == found
    assert drawn(1, 4)[1][:4] == others  # nor do those depend on it
    later, _ = drawn(2, 1)
    assert later[0] == found[0]  # that one is of the run's own states
    assert not {*later[1:]} & {*found}


def test_apples_gpu_goes_on_from_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none here: `state` stands for its own."""
    state = [1]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state[0])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda new: state.append(new))
    with drawing(3, torch.device("mps")):
        state[:] = [7]  # as torch.manual_seed seeds it, too
    assert state[-1] == 1


def test_it_goes_on_from_its_state() -> None:
    rows = feed((torch.zeros(4, 1), torch.zeros(4)), 2, device=CPU)
    with Randomness(0, CPU) as first:
        first.batches(rows, 1, skip=0)
        draw()
        state = first.state_dict()
        expected = [draw(), draw()]
    with Randomness(5, CPU) as second:
        second.load_state_dict(state)
        second.batches(rows, 1, skip=1)
        assert [draw(), draw()] == expected
