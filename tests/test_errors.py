from __future__ import annotations

import linecache
from pathlib import Path

import pytest

import surefoot
from surefoot.errors import InputError, first_line


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


def test_a_notebook_shows_the_users_own_line_and_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = 'at = {"w": 1}\nsurefoot.explain("tourch", f="w**2", at=at)\n'
    monkeypatch.setitem(linecache.cache, "/nowhere/cell", (len(cell), None, cell.splitlines(True), ""))
    with pytest.raises(InputError) as error:
        exec(compile(cell, "/nowhere/cell", "exec"), {"surefoot": surefoot})
    line, between, sentence = error.value._render_traceback_()
    assert (line, between) == ('----> 2 surefoot.explain("tourch", f="w**2", at=at)', "")
    assert sentence.startswith("InputError: Unknown rule 'tourch'; did you mean 'torch'? Known: ")


def test_a_line_of_a_file_is_shown_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import surefoot, torch\n\ntorch.no_grad()(surefoot.explain)(at=1)\n")
    with pytest.raises(InputError) as error:
        exec(compile((tmp_path / "mine.py").read_text(), tmp_path / "mine.py", "exec"), {})
    file, line, *_ = error.value._render_traceback_()
    assert file == f"File {tmp_path / 'mine.py'}:"
    assert line == "----> 3 torch.no_grad()(surefoot.explain)(at=1)"


def test_a_sentence_that_was_never_raised_is_shown_alone() -> None:
    assert InputError("No.")._render_traceback_() == ["InputError: No."]
