"""The rows that come with surefoot, also read ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surefoot.errors import InputError
from surefoot.train.data import embedded


def test_what_was_read_ahead_is_the_same_and_belongs_to_the_one_who_asks() -> None:
    plain = embedded.read()
    embedded.read_ahead()
    first, second = embedded.read(), embedded.read()
    for got in (first, second):
        assert np.array_equal(got.train.x, plain.train.x)
        assert np.array_equal(got.train.y, plain.train.y)
    assert not np.shares_memory(first.train.x, second.train.x)


def test_it_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.read_ahead()
    embedded.read_ahead()  # as of a run that was refused in between
    monkeypatch.setattr(embedded, "_HOME", Path("nowhere"))
    embedded.read()
    with pytest.raises(InputError, match="nowhere does not exist"):
        embedded.read()
