"""A diagnosis is told where it is true: of the example shown, and with the options that it takes."""

from __future__ import annotations

import re

import pytest
import torch

from surefoot.check import check
from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED


class SGD(torch.optim.Optimizer):
    """A plain loop, which is torch's as long as nothing of it is overridden."""

    def __init__(self, params, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        options = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, **options, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                d = p.grad + group["weight_decay"] * p
                p.sub_(self.lr(group, p) * (self.look(group, p, d) if group["momentum"] else d))

    def lr(self, group, p):
        return group["lr"]

    def look(self, group, p, d):
        b = self.buffer(group, p, d)
        return d + group["momentum"] * b if group["nesterov"] else b

    def buffer(self, group, p, d):
        s = self.state[p]
        keep, add = group["momentum"], self.add(group)
        s["momentum_buffer"] = keep * s["momentum_buffer"] + add * d if "momentum_buffer" in s else d.clone()
        return s["momentum_buffer"]

    def add(self, group):
        return 1 - group["dampening"]


def examined(change, given=None, **plan):
    patient = Here(load(type("SGD", (change, SGD), {})), given)
    return {v.clause.id: v for v in examine(patient, Plan(**plan), "torch").verdicts}


def test_the_loop_itself_is_right():
    class Nothing:
        pass

    assert not [v for v in examined(Nothing, quick=True).values() if v.outcome == FAILED]


class OneBuffer:
    """One buffer for all parameters of one shape."""

    def buffer(self, group, p, d):
        old = group.get("buffer")
        group["buffer"] = d.clone() if old is None or old.shape != d.shape else (
            group["momentum"] * old + self.add(group) * d
        )  # fmt: skip
        return group["buffer"]


def test_what_the_example_beneath_contradicts_is_not_told():
    late = examined(OneBuffer, only=("rule", "late"))["late"]
    assert late.outcome == FAILED
    assert late.options == {"momentum": 0.75}
    assert late.diagnosis == ""  # of the first recording alone it was true that momentum does nothing


class FromZero:
    """The buffer starts at 0, and is there without momentum too."""

    def look(self, group, p, d):
        b = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
        b.mul_(group["momentum"]).add_(d, alpha=1 - group["dampening"])
        return d + group["momentum"] * b if group["nesterov"] else b

    def step(self, closure=None):
        for group in self.param_groups:
            group["momentum"] = group["momentum"] or 1e-300  # so that it is never off
        super().step(closure)


def test_a_buffer_that_starts_at_zero_is_no_step_of_half_the_length():
    rule = examined(FromZero, only=("rule",))["rule"]
    assert rule.diagnosis.startswith("The buffer starts at 0, so dampening also reduces the first gradient")


class HalfWithDampening:
    """Halves a step by chance: any number might stand for dampening's ½, and decay makes it another."""

    def lr(self, group, p):
        return group["lr"] * (1 - group["dampening"] + (0.125 if group["weight_decay"] else 0))


def test_what_fits_the_first_recording_by_chance_is_not_told():
    rule = examined(HalfWithDampening, only=("rule",))["rule"]
    assert rule.outcome == FAILED
    assert "half" not in rule.diagnosis


class TwoFaults:
    def add(self, group):
        return 1

    def lr(self, group, p):
        return group["lr"] * (3 if group["weight_decay"] and group["momentum"] else 1)


def test_what_a_diagnosis_leaves_unexplained_is_said():
    rule = examined(TwoFaults, only=("rule",))["rule"]
    assert "ampening is accepted but never used" in rule.diagnosis
    assert re.search(r"; the diagnosis does not explain \d+ of them$", rule.note)


class InSingle:
    def buffer(self, group, p, d):
        b = self.state[p]["momentum_buffer"] = super().buffer(group, p, d).float()
        return b.double()


def test_float32_inside_is_no_state_that_drifts():
    long = examined(InSingle, only=("rule", "long"))["long"]
    assert long.outcome == FAILED
    assert long.diagnosis.startswith("It follows the rule within float32 rounding")
    assert long.mend.startswith("Keep state and compute in the parameter's dtype")


class Bounded:
    """Refuses a large decay, as one that nobody means."""

    def __init__(self, params, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        if weight_decay > 0.1:
            raise ValueError("weight_decay is above 0.1")
        super().__init__(params, lr, momentum, dampening, weight_decay, nesterov)

    def add(self, group):
        return 1 - group["dampening"] + 8 * group["weight_decay"]


@pytest.mark.parametrize("given", [{}, {"weight_decay": 0.1}])
def test_what_refuses_a_usual_decay_is_examined_with_a_smaller_one(given):
    rule = examined(Bounded, only=("rule",), given=given)["rule"]
    assert rule.outcome == FAILED
    assert rule.script.count("weight_decay = 0.1") if given else 0 < rule.options["weight_decay"] < 0.1


class Forgetful:
    def add(self, group):
        return 1 if group["nesterov"] else 1 - group["dampening"]


def test_what_is_so_with_an_option_alone_is_said_with_it():
    rule = examined(Forgetful, only=("rule",))["rule"]
    assert rule.diagnosis == (
        "With nesterov=True, dampening is accepted but never used. This reproduces the failure exactly."
    )


class KeepsItsRate:
    def lr(self, group, p):
        return self.state[p].setdefault("lr", group["lr"])


def test_a_rate_kept_from_the_first_step_was_not_read_at_construction():
    said = examined(KeepsItsRate, only=("changed-lr",))["changed-lr"].diagnosis
    assert said.startswith("The learning rate is read once, at construction or at the first step, so")


class Polyak:
    """Momentum of the parameters: the same while nothing is dampened and lr stays."""

    def look(self, group, p, d):
        before = self.state[p].setdefault("before", p.clone())
        self.state[p]["before"] = p.clone()
        return d - group["momentum"] * (p - before) / group["lr"]


def test_an_example_shows_its_own_clause_and_not_what_the_plain_steps_show():
    found = examined(Polyak, only=("rule", "changed-lr", "moved"))
    assert found["rule"].options.keys() >= {"momentum"}
    assert "lr := " in found["changed-lr"].script
    assert found["changed-lr"].options == {"momentum": 0.75}
    assert " moved to " in found["moved"].script


class Clipped:
    def lr(self, group, p):
        return group["lr"] * min(1.0, 100 / float(p.grad.norm() + 1e-30))


def test_a_clip_beyond_the_usual_numbers_is_seen():
    found = examined(Clipped)
    assert {id for id, v in found.items() if v.outcome == FAILED} == {"rule"}
    assert found["rule"].diagnosis == (
        "Steps follow the rule for small gradients, but not for large ones: are they clipped?"
    )


class RAdam(torch.optim.Optimizer):
    """As RAdam of pytorch_optimizer: without a step while its average is not rectified."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                s["step"] = t = s.get("step", 0) + 1
                m = s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
                v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * p.grad**2
                top = 2 / (1 - b2) - 1
                rho = top - 2 * t * b2**t / (1 - b2**t)
                if rho > 5:
                    r = ((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho)) ** 0.5
                    p.sub_(group["lr"] * r * (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v.sqrt() + group["eps"]))


def test_what_moves_by_its_defaults_is_not_said_never_to_change():
    verdict = check(RAdam, only=["rule"])["rule"]
    assert verdict.outcome == FAILED
    assert "never change" not in verdict.diagnosis
    assert "with its options at their defaults w first moves at step 6" in verdict.diagnosis
    assert verdict.mend.startswith("Compare step() with the rule")
