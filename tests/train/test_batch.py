from __future__ import annotations

from typing import Any

import pytest
import torch

from surefoot.train.batch import Feed, at_once, watched


@pytest.mark.parametrize(
    ("size", "dtype", "rows"),
    [
        ((28, 28), torch.float32, 1000),
        ((3, 32, 32), torch.float32, 85),
        ((3, 224, 224), torch.float32, 32),  # as many as are trained on
        ((16,), torch.int64, 1000),
        ((128,), torch.int64, 32),  # tokens, of which a layer makes wide vectors
    ],
)
def test_large_rows_are_evaluated_in_smaller_batches(
    size: tuple[int, ...], dtype: torch.dtype, rows: int
) -> None:
    sample = torch.zeros(2, *size, dtype=dtype), torch.zeros(2)
    assert at_once(sample, 32) == rows
    assert at_once(sample, 32, 4) == 8  # a part: memory is short
    assert at_once(None, 32) == 32


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
