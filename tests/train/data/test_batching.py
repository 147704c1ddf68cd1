"""Batches: every row once, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.train.data import batches, order
from surefoot.train.data.scale import Scaling


@given(st.integers(0, 300), st.integers(0, 2**70), st.integers(0, 1000))
def test_an_order_visits_each_row_once_and_comes_again(n, seed, epoch):
    first = order(n, seed, epoch)
    assert sorted(first.tolist()) == list(range(n))
    torch.manual_seed(0)  # no other random state has a say
    torch.rand(3)
    assert torch.equal(order(n, seed, epoch), first)


def test_no_two_of_many_seeds_and_epochs_share_an_order():
    pairs = [(seed, epoch) for seed in (0, 1, 2, 3, 2**32, 2**32 + 1, 2**64) for epoch in range(50)]
    assert len({tuple(order(20, *pair).tolist()) for pair in pairs}) == len(pairs)


def test_the_order_is_the_same_in_another_process():
    code = "from surefoot.train.data import order; print(order(1000, 7, 3).tolist())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(order(1000, 7, 3).tolist())


@pytest.mark.parametrize(("seed", "epoch"), [(-1, 0), (0, -2)])
def test_a_negative_seed_or_epoch(seed, epoch):
    with pytest.raises(InputError) as caught:
        order(3, seed, epoch)
    assert str(caught.value) == f"Seed and epoch must be 0 or more, not {seed} and {epoch}."


@given(
    n=st.integers(1, 70),
    batch_size=st.integers(1, 80),
    skip=st.integers(0, 5),
    shuffled=st.booleans(),
    chunk=st.sampled_from([1, 100, 1000, 2**21]),
)
def test_batches_are_the_rows_in_order(n, batch_size, skip, shuffled, chunk):
    x = torch.arange(n * 3, dtype=torch.uint8).reshape(n, 3)
    y = torch.arange(n)
    rows = order(n, 0, 1) if shuffled else None
    scaling = Scaling("unit", torch.tensor(0.0), torch.tensor(255.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("surefoot.train.data.batching._CHUNK", chunk)
        found = list(batches(x, y, batch_size, rows=rows, scaling=scaling, skip=skip))
    expected = list((torch.arange(n) if rows is None else rows).split(batch_size))[skip:]
    assert len(found) == len(expected)
    for (bx, by), index in zip(found, expected, strict=True):
        assert torch.equal(by, y[index])
        assert bx.dtype == torch.float32
        assert torch.equal(bx, x[index].float() / 255)


def test_without_scaling_the_inputs_stay_as_they_are():
    x = torch.arange(6, dtype=torch.uint8).reshape(3, 2)
    first, _ = next(batches(x, torch.arange(3), 2))
    assert first.dtype == torch.uint8


def test_a_batch_lies_where_it_did_without_those_left_out():
    """Sums over a batch that begins elsewhere in memory may be made in another order."""
    x, y = torch.zeros(30, 7), torch.arange(30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("surefoot.train.data.batching._CHUNK", 4 * 7 * 12)
        rows = torch.arange(30)
        places = [b.storage_offset() for b, _ in batches(x, y, 3, rows=rows)]
        assert len(set(places)) == 4
        for skip in range(10):
            assert [b.storage_offset() for b, _ in batches(x, y, 3, rows=rows, skip=skip)] == places[skip:]
