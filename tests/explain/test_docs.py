"""The page on explanations shows what its commands print today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_pages_commands_print_what_it_shows() -> None:
    spec = importlib.util.spec_from_file_location("docs_console", ROOT / "scripts" / "docs_console.py")
    assert spec is not None
    assert spec.loader is not None
    console = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(console)
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    assert page.count("```console\n$ surefoot explain ") == 9
    assert console.refresh(page) == page
