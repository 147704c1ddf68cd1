"""A claim: what a rule makes of a script, held against what was recorded."""

from __future__ import annotations

from fractions import Fraction

import torch

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.options.words import Words
from surefoot.check.subject.load import load
from surefoot.errors import InputError
from surefoot.rules import RULES, get
from surefoot.trace import Script, record


def test_twenty_steps_of_a_rule_that_divides_do_not_drown_in_digits():
    claim = Claim(get("adamax"), Words.of(load(torch.optim.Adamax).signature, {}))
    betas = (Fraction(1, 2), Fraction(3, 4))
    for count, kind in ((4, True), (20, False)):
        script = Script.of({"w": 1}, gradients=[{"w": 0.3}] * count, lr=0.1, betas=betas)
        last = claim.expected(script).steps[-1].w["w"]
        assert isinstance(last, Fraction) is kind  # after twenty it would have a million digits


OPTIONS = ({}, {"nesterov": True}, {"dampening": 0.3}, {"weight_decay": 0.3}, {"maximize": True})


def test_to_look_at_the_first_step_first_changes_no_answer():
    words = Words.of(load(torch.optim.SGD).signature, {})
    script = Script.of({"w": [0.5, -1.0]}, gradients=[{"w": [0.25, 3.0]}] * 4, lr=0.125, momentum=0.5)
    answers = set()
    for theirs in OPTIONS:
        got = record(script, lambda params, o=theirs, **given: torch.optim.SGD(params, **given, **o))
        for rule in RULES.values():
            known = {x.name for x in rule.hypers}
            for ours in OPTIONS:
                claim = Claim(rule.variant(**{k: v for k, v in ours.items() if k in known}), words)
                try:
                    whole = claim._compare(got, None)[0]
                except InputError:
                    assert not claim.holds(got)
                    continue
                assert claim.holds(got) is (whole is None)
                assert (claim.parts(got) is None) is (claim.mismatch(got) is None)
                answers.add(whole and whole.step)
    assert answers >= {None, 1, 2}
