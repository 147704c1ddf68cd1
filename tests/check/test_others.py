"""Steps that go by other elements, other parameters, or digits of the learning rate: each is told as that."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED


class SGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.v = 0

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                d = self.gradient(p, group)
                if group["momentum"]:
                    d = self.average(self.state[p], d, group["momentum"])
                p.sub_(self.rate(group) * d)

    def gradient(self, p, group):
        return p.grad + group["weight_decay"] * p

    def average(self, s, d, mu):
        s["v"] = mu * s.get("v", torch.zeros_like(d)) + d
        return s["v"]

    def rate(self, group):
        return group["lr"]


class Mean(SGD):
    def gradient(self, p, group):
        return p.grad - p.grad.mean()


class NormInDecay(SGD):
    def gradient(self, p, group):
        return p.grad + group["weight_decay"] * p.norm()


class ByLength(SGD):
    def gradient(self, p, group):
        return super().gradient(p, group) / (p.shape[0] if p.dim() else 1)


class ByCount(SGD):
    def rate(self, group):
        return group["lr"] / len(group["params"])


class CutOff(SGD):
    def rate(self, group):
        return int(group["lr"] * 1000) / 1000


class Shared(SGD):
    def average(self, s, d, mu):
        self.v = mu * self.v + d
        return self.v


class AtRandom(SGD):
    def gradient(self, p, group):
        return p.grad * torch.rand_like(p)


def failures(optimizer, *only):
    named = type("SGD", (optimizer,), {})
    return [v for v in examine(Here(load(named)), Plan(only=only)).verdicts if v.outcome == FAILED]


@pytest.mark.parametrize("optimizer", [Mean, NormInDecay, ByLength])
def test_a_step_that_goes_by_the_whole_tensor_is_told_so(optimizer):
    (verdict,) = failures(optimizer, "rule")
    assert verdict.diagnosis.startswith("An element is stepped differently in a larger tensor than alone")


def test_what_goes_by_chance_is_not_told_to_go_by_others():
    (verdict,) = failures(AtRandom, "rule")
    assert "beside others" not in verdict.diagnosis


def test_a_step_that_goes_by_the_number_of_parameters_is_told_once():
    found = failures(ByCount, "late", "twins", "sizes", "long")
    assert [v.clause.id for v in found] == ["late", "twins", "sizes", "long"]
    assert found[0].diagnosis.startswith("The step is divided by the number of parameters in its group.")
    assert [v.clause.id for v in found if v.repro] == ["late"]


def test_a_learning_rate_that_is_cut_off_is_told():
    (verdict,) = failures(CutOff, "rule", "changed-lr", "long")
    assert verdict.clause.id == "long"
    assert verdict.diagnosis.startswith("The learning rate is truncated after 3 digits.")
    assert verdict.mend.startswith("Use group['lr'] unchanged")


def test_one_buffer_for_all_is_told_so_first_and_its_exceptions_once():
    found = failures(Shared)
    assert found[0].clause.id == "late"
    assert found[0].diagnosis.startswith("Tensors of two parameters are combined")
    assert found[0].mend.startswith("Keep each parameter's state in self.state[p]")
    told = [v.clause.id for v in found if v.repro]
    assert told == ["late", "twins"]  # where shapes fit, numbers are wrong
