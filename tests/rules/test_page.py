"""docs/rules.md is what the rules say now."""

from __future__ import annotations

import runpy
from pathlib import Path

from surefoot.rules import RULES

SCRIPT = Path(__file__).parents[2] / "scripts" / "rules_page.py"


def test_the_page_is_up_to_date():
    script = runpy.run_path(str(SCRIPT))
    page = script["page"]()
    assert script["PAGE"].read_text(encoding="utf-8") == page, "run: python scripts/rules_page.py"
    for rule in RULES.values():
        assert rule.latex() in page
        assert f"{{ #{rule.name} }}" in page
