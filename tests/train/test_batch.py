from __future__ import annotations

from typing import Any

import pytest
import torch

from surefoot.train.batch import Feed, watched


def test_what_was_in_a_batch_is_known_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surefoot.train.batch._WATCHED", 3)
    x, y = torch.zeros(8, 2), torch.arange(8)
    x[[1, 5, 7]] = torch.tensor([[0.0, torch.nan], [-torch.inf, 0.0], [1.0, torch.nan]])

    def epoch(number: int, skip: int = 0) -> Any:
        return zip(x.split(2)[skip:], y.split(2)[skip:], strict=True)

    feed = watched(Feed(4, 8, y[:1], str, epoch))
    assert feed.seen is not None
    assert feed.seen(1) is None  # nothing came yet
    assert [t.tolist() for _, t in feed.epoch(2, 1)] == [[2, 3], [4, 5], [6, 7]]
    found = [feed.seen(step) for step in range(9)]
    assert found[7:] == [f"the inputs of that step's batch hold {what}" for what in ("inf", "NaN")]
    assert found[:7] == [None] * 7
    [*feed.epoch(3)]
    assert [feed.seen(step) is None for step in range(8, 13)] == [True, True, True, False, False]
