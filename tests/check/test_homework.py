"""What a class's homework is held to: what it leaves out, and what it does not."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.choose import clauses
from surefoot.check.homework import HOMEWORK
from surefoot.check.run import check
from surefoot.cli import main


class Lecture(torch.optim.Optimizer):
    """As most students write it: without a closure, by p.data, and with whatever numbers it is given."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.velocity = {}

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p not in self.velocity:
                    self.velocity[p] = torch.zeros_like(p.data)
                self.velocity[p] = group["momentum"] * self.velocity[p] + p.grad.data
                p.data = p.data - group["lr"] * self.velocity[p]


class OfItsOwn:
    """No torch.optim.Optimizer, as where the task is to write all of it."""

    def __init__(self, params, lr=0.1):
        self.params, self.lr = list(params), lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p in self.params:
            if p.grad is not None:
                p -= self.lr * p.grad


class Adam(torch.optim.Optimizer):
    """As the paper has it, which squares a complex gradient as a whole; its t is not saved."""

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps})
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            b1, b2 = group["beta1"], group["beta2"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                s["m"] = b1 * s.get("m", torch.zeros_like(p)) + (1 - b1) * p.grad
                s["v"] = b2 * s.get("v", torch.zeros_like(p)) + (1 - b2) * p.grad**2
                m, v = s["m"] / (1 - b1**self.t), s["v"] / (1 - b2**self.t)
                p -= group["lr"] * m / (v.sqrt() + group["eps"])


@pytest.mark.parametrize(
    ("right", "rule", "unasked"),
    [
        (Lecture, "sgd", {"refuses-values", "closure-called", "in-place", "version-moves", "state-in-state"}),
        (OfItsOwn, "sgd", {"is-optimizer", "refuses-values"}),
        (Adam, "adam", {"refuses-values", "closure-called", "resume", "complex-parts", "pickles"}),
    ],
)
def test_right_homework_passes_though_it_lacks_what_nobody_asked_for(right, rule, unasked):
    report = check(right, rule, only="homework")
    assert report.ok, str(report)
    assert report["rule"].outcome == "passed"
    whole = check(right, rule)
    assert unasked <= {v.clause.id for v in whole.failures} <= clauses().keys() - HOMEWORK


class KeepsTheGradient(Lecture):
    def step(self):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                v = self.velocity.setdefault(p, p.grad)
                if v is not p.grad:
                    v.mul_(group["momentum"]).add_(p.grad)
                p.data -= group["lr"] * v


class OneGroup(Lecture):
    def step(self):
        everything, self.param_groups[1:] = self.param_groups[1:], []
        super().step()
        self.param_groups += everything


class NoZeroGrad(Lecture):
    def zero_grad(self, set_to_none=True):
        pass


class Tracked(OfItsOwn):
    def step(self):
        for p in self.params:
            if p.grad is not None:
                p -= self.lr * p.grad


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (KeepsTheGradient, "grad-not-aliased"),
        (OneGroup, "group-options"),
        (NoZeroGrad, "zero-grad"),
        (Tracked, "steps"),
    ],
)
def test_what_a_training_rests_on_is_asked_for(wrong, told):
    assert told in {v.clause.id for v in check(wrong, "sgd", only="homework").failures}


def test_each_of_it_is_a_clause_and_none_of_them_is_deep():
    known = clauses()
    assert known.keys() > HOMEWORK
    assert not any(getattr(known[id], "deep", False) for id in HOMEWORK)


def test_the_rest_is_told_in_one_note_and_can_be_asked_for_besides():
    left = len(clauses()) - len(HOMEWORK)
    said = [n for n in check(OfItsOwn, "sgd", only="homework").notes if n.startswith("Not asked: ")]
    assert said == [
        f"Not asked: {left} of {len(clauses())} clauses, which are not part of the homework;"
        " surefoot check --list --only homework shows those that are."
    ]
    more = check(Lecture, "sgd", only="homework, closure-called", skip="arithmetic")
    assert {v.clause.id for v in more.failures} == {"closure-called"}
    assert "grad-kept" in {v.clause.id for v in more.verdicts}
    assert not [n for n in check(OfItsOwn, "sgd", only="rule").notes if n.startswith("Not asked")]


def test_the_command_lists_it(capsys):
    assert main(["check", "--list", "--only", "homework"]) == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == HOMEWORK
