"""docs/sgd.md: its examples run, and its formulas are the rules' own."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from surefoot.rules import get

PAGE = Path(__file__).parents[2] / "docs" / "sgd.md"


def test_examples_run() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 5
    assert failed == 0


@pytest.mark.parametrize("name", ["torch", "keras", "ema"])
def test_formulas_are_the_rules_own(name: str) -> None:
    assert f"$$\n{get(name).latex(decay='l2')}\n$$" in PAGE.read_text(encoding="utf-8")
