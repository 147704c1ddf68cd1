"""Whether a run that is gone on with is the one that was begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.train.folder.same import check_given, check_options


def test_another_option_is_named_with_both_values() -> None:
    then = {"lr": 0.1, "out": "a", "name": "x", "checkpoint_every": "1 epoch"}
    check_options(Path("run"), then, {"lr": 0.1, "out": "b", "checkpoint_every": "never"})
    with pytest.raises(InputError) as caught:
        check_options(Path("run"), then, {"lr": 0.1, "warmup": "1 epoch"})
    assert str(caught.value) == (
        "The run in 'run' was started with warmup none, not '1 epoch'; resume it with the same, or choose a"
        " new folder."
    )
    with pytest.raises(InputError) as caught:
        check_options(Path("run"), then, {"lr": 0.1, "batch_size": 4})
    assert (
        str(caught.value) == f"{Path('run/config.toml')} no longer has a line for 'batch_size'; put it back."
    )


def test_what_is_given_anew_is_told_apart() -> None:
    then = {"rows to train on": "8 rows", "loss": "huber_loss"}
    check_given(Path("run"), then, then)
    with pytest.raises(InputError, match="8 rows, checksum 1, not 8 rows, checksum 2"):
        check_given(Path("run"), {"rows": "8 rows, checksum 1"}, {"rows": "8 rows, checksum 2"})
    with pytest.raises(InputError) as caught:
        check_given(Path("run"), then, {"rows to train on": "8 rows"})
    assert str(caught.value) == (
        "The run in 'run' was started with another loss: huber_loss, not none; resume it with the"
        " same, or choose a new folder."
    )
