"""The examples of identify and gradients run, and the page shows what the command prints."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["keras_momentum.py", "wrong_backward.py"])
def test_an_example(name, capsys):
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert capsys.readouterr().out


def test_the_page_on_identify_shows_what_is_printed(monkeypatch):
    monkeypatch.chdir(ROOT)
    refresh = runpy.run_path(str(ROOT / "scripts" / "docs_console.py"))["refresh"]
    page = (ROOT / "docs" / "identify.md").read_text(encoding="utf-8")
    assert refresh(page) == page
