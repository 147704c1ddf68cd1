"""Every single change of a correct optimizer is caught, or is known to change nothing. CI runs a sample."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

import pytest
import torch

from surefoot.check import contract
from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import DIFFERS, FAILED

generate = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "generate_mutants.py"))

MUTANTS = {m.name: m for m in generate["mutants"]()}
SAMPLE = 16  # CI runs every so manieth

NOTHING = "0 · w is added, which changes nothing"
APART = "the two lines do not touch the same things"
# mutant → why it is no mistake
EQUIVALENT = {
    "loop:28: if group['weight_decay'] != 0: -> if True:": NOTHING,
    "loop:28: if group['weight_decay'] != 0: -> if 1 != 0:": NOTHING,
    "loop:33: buf = self.state[p]['momentum_buffer'] = d.clone().detach() -> "
    "buf = self.state[p]['momentum_buffer'] = d.clone()": "under no_grad a clone is detached",
    "functional:6: if mu == 0: -> b = d if b is None else mu * b + (1 - tau) * d": "b is thrown away",
    "functional:31: p.copy_(w) -> if b is not None:": APART,
    "functional:33: w, b = sgd(p, p.grad.clone(), state.get('momentum_buffer'), *h) -> "
    "w, b = sgd(p, p.grad, state.get('momentum_buffer'), *h)": "sgd() makes a new tensor of the gradient",
    "keras:22: p.mul_(1 - lr * group['weight_decay']) -> "
    "v = self.state[p].setdefault('velocity', torch.zeros_like(p))": APART,
    "keras:26: v = self.state[p].setdefault('velocity', torch.zeros_like(p)) -> "
    "v = self.state[p].setdefault('velocity', torch.zeros_like(p.grad))": "gradients have the same shape",
}


def caught_by(mutant) -> str | None:
    """The first clause that a mutant fails: of the quick arithmetic, of all of it, of the contract."""
    names: dict = {}
    exec(compile(mutant.source, mutant.file, "exec"), names)
    made = next(v for v in names.values() if isinstance(v, type) and issubclass(v, torch.optim.Optimizer))
    rule = "keras" if mutant.file == "keras" else "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # add_(d) of an integer and such: what counts is whether it is caught
        for quick in (True, False):
            for v in examine(Here(load(made)), Plan(quick=quick), rule, explain=False).verdicts:
                if v.outcome in (FAILED, DIFFERS):
                    return v.clause.id
        for v in contract.examine(Here(load(made)), Plan()).verdicts:
            if v.outcome == FAILED:
                return v.clause.id
    return None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 writes (a, b) where others write a, b")
def test_there_are_some_hundreds_of_every_kind():
    assert len(MUTANTS) > 400
    kinds = {m.kind for m in MUTANTS.values()}
    assert {"sign", "coefficient", "operand", "order", "condition", "line left out"} <= kinds
    assert set(EQUIVALENT) <= set(MUTANTS)


@pytest.mark.parametrize("name", [n for n in list(MUTANTS)[::SAMPLE] if n not in EQUIVALENT])
def test_a_sample_is_caught(name):
    assert caught_by(MUTANTS[name]) is not None


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", generate["FILES"])
def test_every_single_change_is_caught_or_changes_nothing(file):
    survived = {n for n, m in MUTANTS.items() if m.file == file and caught_by(m) is None}
    assert survived == {n for n in EQUIVALENT if n.startswith(f"{file}:")}
