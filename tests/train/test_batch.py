from __future__ import annotations

import pytest
import torch

from surefoot.train.batch import at_once


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
