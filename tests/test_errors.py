from __future__ import annotations

import pytest

from surefoot.errors import first_line


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
