"""A claim: what a rule makes of a script, held against what was recorded."""

from __future__ import annotations

from fractions import Fraction

import torch

from surefoot.check.claim import Claim
from surefoot.check.load import load
from surefoot.check.words import Words
from surefoot.rules import get
from surefoot.trace import Script


def test_twenty_steps_of_a_rule_that_divides_do_not_drown_in_digits():
    claim = Claim(get("adamax"), Words.of(load(torch.optim.Adamax).signature, {}))
    betas = (Fraction(1, 2), Fraction(3, 4))
    for count, kind in ((4, True), (20, False)):
        script = Script.of({"w": 1}, gradients=[{"w": 0.3}] * count, lr=0.1, betas=betas)
        last = claim.expected(script).steps[-1].w["w"]
        assert isinstance(last, Fraction) is kind  # after twenty it would have a million digits
