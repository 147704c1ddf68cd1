"""Training and validation rows: shuffled by a seed, the same rows that scikit-learn picks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from surefoot.errors import InputError

__all__ = ["split"]


def split(n: int, train_fraction: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Shuffle the rows 0 … n−1 and part them into training and validation rows.

    p = permutation(n) by `seed`; the last ⌊train_fraction·n⌋ of p train, the ones before validate.

    Args:
        n: how many rows there are.
        train_fraction: the share that trains, between 0 and 1.
        seed: 0 … 2³² − 1.

    Returns:
        The training rows and the validation rows, both in shuffled order.

    Raises:
        InputError: the fraction or the seed is out of range, or one side would be empty.

    Example:
        >>> split(5, 0.8, seed=0)
        (array([0, 1, 3, 4]), array([2]))

    Source: the rows and their order are those of scikit-learn's
    train_test_split(range(n), train_size=train_fraction, random_state=seed).
    """
    if not 0 < train_fraction < 1:
        raise InputError(
            f"The training fraction must lie between 0 and 1 (such as 0.8), not {train_fraction}."
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"The split seed must lie between 0 and {2**32 - 1}, not {seed}.")
    n_train = math.floor(train_fraction * n)
    if n_train == 0 or n_train == n:
        empty = "training" if n_train == 0 else "validation"
        raise InputError(f"A training fraction of {train_fraction} leaves no {empty} rows out of {n}.")
    order = np.random.RandomState(seed).permutation(n)
    return order[n - n_train :], order[: n - n_train]
