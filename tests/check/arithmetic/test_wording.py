"""A failure in words, and the lines of torch that show it."""

from __future__ import annotations

import torch

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.wording import in_numbers, number, reproduction
from surefoot.check.options.words import Words
from surefoot.check.subject.load import load
from surefoot.rules import get
from surefoot.trace import Group, Mismatch, Script, Step


def test_a_second_group_says_what_it_must_not_inherit_from_the_first():
    groups = (Group(("a",), {"lr": 1, "maximize": True}), Group(("b",), {"lr": 1, "maximize": False}))
    script = Script({"a": 0, "b": 0}, groups, (Step({"a": 0, "b": 1}),))
    right = Mismatch(step=1, name="b", index=(), slot="w", expected=-1, got=1, allowed=0.0)
    signature = load(torch.optim.SGD).signature
    code = reproduction(script, signature, {}, "float64", right)
    assert "dict(params=[b], lr=1.0, maximize=False)" in code
    exec(code, {})  # torch's SGD is right, so nothing is raised


def test_a_count_is_told_once():
    options = {"lr": 1, "betas": (0.5, 0.5), "eps": 1}
    script = Script({"w": 0}, (Group(("w",), {"lr": 1}),), (Step({"w": 1}),))
    claim = Claim(get("adam"), Words.of(load(torch.optim.Adam).signature, options))
    found = Mismatch(step=1, name="w", index=(), slot="w", expected=-1, got=1, allowed=0.0)
    assert in_numbers(claim, script, found).splitlines()[0] == "t = 1"


def test_zero_has_no_sign():
    assert [number(x) for x in (-0.0, 0, -1)] == ["0", "0", "−1"]
