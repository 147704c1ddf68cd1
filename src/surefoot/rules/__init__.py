"""Update rules: each one a pure formula, readable as the mathematics, that runs on any kind of number."""

from __future__ import annotations

from surefoot.rules.convert import Conversion, convert
from surefoot.rules.define import rule
from surefoot.rules.hyper import H, Hyper
from surefoot.rules.hypers import DECAYS
from surefoot.rules.rule import Line, Rule, Slot
from surefoot.rules.sgd import SGD_FAMILY
from surefoot.rules.table import RULES, get

__all__ = [
    "DECAYS",
    "RULES",
    "SGD_FAMILY",
    "Conversion",
    "H",
    "Hyper",
    "Line",
    "Rule",
    "Slot",
    "convert",
    "get",
    "rule",
]
