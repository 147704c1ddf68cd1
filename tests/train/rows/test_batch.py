from __future__ import annotations

from typing import Any

import pytest
import torch

from surefoot.train.rows.batch import Feed, watched


def test_what_was_in_a_batch_is_known_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surefoot.train.rows.batch._WATCHED", 3)
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


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize(
    "make",
    [
        torch.Tensor.to_sparse,
        torch.Tensor.to_sparse_csr,
        lambda x: torch.nested.nested_tensor([*x]),
        lambda x: torch.nested.nested_tensor([*x], layout=torch.jagged),
        lambda x: x.to(torch.float8_e4m3fn),
        lambda x: x[:0],
    ],
)
def test_batches_of_which_torch_finds_no_largest_are_not_watched(make: Any) -> None:
    x, y = make(torch.eye(2)), torch.full((2,), torch.nan)
    feed = watched(Feed(1, 2, y[:1], str, lambda number, skip=0: iter([(x, y)])))
    assert next(feed.epoch(1))[0] is x
    assert feed.seen is not None
    assert feed.seen(1) == "the targets of that step's batch hold NaN"
