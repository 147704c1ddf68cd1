from __future__ import annotations

from pathlib import Path

import pytest
import torch

from surefoot.errors import InputError
from surefoot.train.same import check_given, check_options, mark


def test_another_option_is_named_with_both_values() -> None:
    then = {"lr": 0.1, "out": "a", "name": "x", "checkpoint_every": "1 epoch"}
    check_options(Path("run"), then, {"lr": 0.1, "out": "b", "checkpoint_every": "never"})
    with pytest.raises(InputError) as caught:
        check_options(Path("run"), then, {"lr": 0.1, "warmup": "1 epoch"})
    assert str(caught.value) == (
        "The run in 'run' was begun with warmup none, not '1 epoch'; resume it with the same, or choose a new"
        " folder."
    )
    with pytest.raises(InputError) as caught:
        check_options(Path("run"), then, {"lr": 0.1, "batch_size": 4})
    assert str(caught.value) == f"{Path('run/config.toml')} has lost the line of 'batch_size'; put it back."


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool],
)
def test_rows_are_told_apart(dtype: torch.dtype) -> None:
    x, y = torch.eye(2500, 3).to(dtype), torch.arange(2500)
    said = mark(x, y)
    assert said.startswith(f"2,500 rows of 3, {str(dtype).removeprefix('torch.')}, checksum ")
    assert mark(x.clone(), y.clone()) == said
    assert len({said, mark(x[:-1], y[:-1]), mark(x, y + 1), mark(x.flip(0), y), mark(x[:, :2], y)}) == 5


def test_what_is_given_anew_is_told_apart() -> None:
    then = {"other rows to train on": "8 rows", "another loss": "huber_loss"}
    check_given(Path("run"), then, then)
    check_given(Path("run"), {}, then)  # of a checkpoint from before they were noted
    check_given(Path("run"), then, {**then, "other rows to train on": "8 rows, checksum 1"})  # nor was that
    with pytest.raises(InputError, match="8 rows, checksum 1, not 8 rows, checksum 2"):
        check_given(Path("run"), {"rows": "8 rows, checksum 1"}, {"rows": "8 rows, checksum 2"})
    with pytest.raises(InputError, match="8 rows, not 88 rows"):
        check_given(Path("run"), {"rows": "8 rows"}, {"rows": "88 rows, checksum 2"})
    with pytest.raises(InputError) as caught:
        check_given(Path("run"), then, {"other rows to train on": "8 rows"})
    assert str(caught.value) == (
        "The run in 'run' was begun with another loss: huber_loss, not none; resume it with the"
        " same, or choose a new folder."
    )
