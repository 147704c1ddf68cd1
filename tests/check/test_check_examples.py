"""The examples of identify and gradients run, and the pages show what their commands print."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["keras_momentum.py", "wrong_backward.py", "wrong_for_input.py"])
def test_an_example(name, capsys):
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", ["identify.md", "gradients.md", "convert.md", "tutorial.md"])
def test_a_page_shows_what_is_printed(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    refresh = runpy.run_path(str(ROOT / "scripts" / "docs_console.py"))["refresh"]
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert "```console\n$ surefoot " in text
    assert refresh(text) == text
