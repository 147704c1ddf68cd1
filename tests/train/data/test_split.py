"""The split, compared with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.train.data.split import split


def same_as_scikit_learn(n: int, fraction: float, seed: int) -> None:
    from sklearn.model_selection import train_test_split

    train, valid = split(n, fraction, seed)
    expected = train_test_split(np.arange(n), train_size=fraction, random_state=seed)
    assert train.tolist() == expected[0].tolist()
    assert valid.tolist() == expected[1].tolist()


@pytest.mark.parametrize("n", [2, 3, 5, 7, 10, 99, 1000, 10_000, 70_001])
@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_the_rows_that_scikit_learn_picks(n, seed):
    same_as_scikit_learn(n, 0.8, seed)


@given(st.integers(2, 500), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_the_rows_that_scikit_learn_picks_for_any_share(n, fraction, seed):
    if 1 <= int(fraction * n) < n:
        same_as_scikit_learn(n, fraction, seed)


@given(st.integers(2, 200), st.floats(0.2, 0.8), st.integers(0, 2**32 - 1))
def test_each_row_is_on_one_side(n, fraction, seed):
    if int(fraction * n):
        train, valid = split(n, fraction, seed)
        assert sorted([*train, *valid]) == list(range(n))


@pytest.mark.parametrize(
    ("n", "fraction", "seed", "says"),
    [
        (10, 0.0, 0, "The training fraction must lie between 0 and 1 (such as 0.8), not 0.0."),
        (10, 1.0, 0, "The training fraction must lie between 0 and 1 (such as 0.8), not 1.0."),
        (10, float("nan"), 0, "The training fraction must lie between 0 and 1 (such as 0.8), not nan."),
        (10, 0.05, 0, "A training fraction of 0.05 leaves no training rows out of 10."),
        (10, 0.5, -1, "The split seed must lie between 0 and 4294967295, not -1."),
        (10, 0.5, 2**32, "The split seed must lie between 0 and 4294967295, not 4294967296."),
    ],
)
def test_what_cannot_be_split(n, fraction, seed, says):
    with pytest.raises(InputError) as caught:
        split(n, fraction, seed)
    assert str(caught.value) == says
