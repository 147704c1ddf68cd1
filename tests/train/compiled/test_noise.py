"""Random bits in the place of numbers drawn from them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surefoot.train.compiled import noise
from surefoot.train.compiled.noise import BITS, Noise, by_bits, threshold

SHARE = st.floats(0, 1)


@given(SHARE, st.integers(0, 2**32))
def test_bits_below_the_threshold_are_the_ones_of_bernoulli(p: float, seed: int) -> None:
    if not by_bits():
        pytest.skip("here bernoulli_ is drawn in another way, as by Intel's library")

    def drawn(bits: bool) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Noise("aten.bernoulli_.float", (7, 9), "float32", (p,), bits).drawer()(), torch.rand(1)

    (expected, after), (bits, next_one) = drawn(False), drawn(True)
    assert torch.equal((bits & BITS) < threshold(p), expected == 1)
    assert torch.equal(next_one, after)


@given(SHARE, st.integers(0, BITS))
def test_a_number_is_below_p_where_its_bits_are_below_the_threshold(p: float, bits: int) -> None:
    assert (bits * 2.0**-53 < p) == (bits < threshold(p))


def test_where_bernoulli_is_drawn_otherwise_bits_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "threshold", lambda p: threshold(1 - p))
    assert not by_bits.__wrapped__()


def test_bits_that_move_the_random_state_further_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    if not by_bits():
        pytest.skip("here bernoulli_ is drawn in another way, as by Intel's library")
    draw = torch.Tensor.random_

    def more(place: torch.Tensor) -> torch.Tensor:
        draw(place)
        torch.rand(1)
        return place

    monkeypatch.setattr(torch.Tensor, "random_", more)
    assert not by_bits.__wrapped__()
