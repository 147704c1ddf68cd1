"""What the pages show at the >>> prompt is what comes."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if ">>> " in p.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_sessions_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a page may write files
    # a page is one session; what stands outside of its fences becomes empty lines, so that line numbers hold
    blocks = re.split(r"^```\w*$", page.read_text(), flags=re.MULTILINE)
    blocks[::2] = ["\n" * block.count("\n") for block in blocks[::2]]
    test = doctest.DocTestParser().get_doctest("".join(blocks), {}, page.name, str(page), 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)
