from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.train.same import check_options, first_line


def test_another_option_is_named_with_both_values() -> None:
    then = {"lr": 0.1, "out": "a", "name": "x", "checkpoint_every": "1 epoch"}
    check_options(Path("run"), then, {"lr": 0.1, "out": "b", "checkpoint_every": "never"})
    with pytest.raises(InputError) as caught:
        check_options(Path("run"), then, {"lr": 0.1, "batch_size": 4})
    assert str(caught.value) == (
        "The run in 'run' was begun with batch-size none, not 4; resume it with the same, or choose a new"
        " folder."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Error(s) in loading:\n\tsize of a.\n\tsize of b.\n\tsize of c.", "size of a, and 2 more"),
        ("Error(s) in loading:\n\tsize of a.", "size of a"),
        ("one line.", "one line"),
        ("", "ValueError"),
    ],
)
def test_the_first_of_many_lines(text: str, said: str) -> None:
    assert first_line(ValueError(text)) == said
