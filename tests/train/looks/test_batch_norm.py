from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train.looks.batch_norm import check_single_rows
from surefoot.train.rows.feed import feed

CPU = torch.device("cpu")


def norm(n: int, batch_size: int, accumulate: int = 1, model: nn.Module | None = None, *size: int) -> None:
    """Look at a model with batch norm and n rows."""
    rows = feed((torch.zeros(n, *(size or (2,))), torch.zeros(n)), batch_size, device=CPU)
    check_single_rows(model or nn.Sequential(nn.BatchNorm1d(2)), rows, batch_size, accumulate)


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((193, 32), "The last batch of an epoch has one row (193 = 6 × 32 + 1), and batch norm cannot"),
        ((193, 32), "normalise a single row; choose another batch size, such as 33."),
        (
            (10, 1),
            "A batch has one row, and batch norm cannot normalise a single row; choose another batch"
            " size, such as 2.",
        ),
        (
            (64, 32, 32),
            "In 32 parts a batch has parts of one row, and batch norm cannot normalise a single row;"
            " choose another"
            " batch size, such as 64.",
        ),
    ],
)
def test_batch_norm_of_a_single_row_is_told_before_training(sizes: tuple[int, ...], text: str) -> None:
    with pytest.raises(InputError) as caught:
        norm(*sizes)
    assert text in str(caught.value)
    if "such as" in text and len(sizes) < 3:  # what it advises is right
        norm(sizes[0], int(text.rpartition(" ")[2].rstrip(".")))


def test_where_batch_norm_has_enough_to_normalise() -> None:
    norm(194, 32)
    norm(193, 32, 1, nn.Linear(2, 2))
    norm(193, 32, 1, nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 1, 5, 5)  # pixels of an image
    norm(
        193, 32, 1, nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))
    )  # it fails otherwise, and will in training


def test_looking_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before, state = torch.get_rng_state(), {n: t.clone() for n, t in model.state_dict().items()}
    norm(193, 32, 1, model, 1, 5, 5)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())
