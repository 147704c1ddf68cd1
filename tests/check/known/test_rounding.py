"""Float32 is an excuse where something is in float32, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.identify import identify
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import DIFFERS, FAILED, PASSED


class Adam(torch.optim.Optimizer):
    """Adam; `root` takes the root of v, `kind` is its state's dtype, `final` that of the new w."""

    root = staticmethod(torch.sqrt)
    kind = final = torch.float64

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                s, g = self.state[p], p.grad.to(self.kind)
                s["step"] = t = s.get("step", 0) + 1
                s["exp_avg"] = b1 * s.get("exp_avg", torch.zeros_like(g)) + (1 - b1) * g
                s["exp_avg_sq"] = b2 * s.get("exp_avg_sq", torch.zeros_like(g)) + (1 - b2) * g * g
                m, v = s["exp_avg"] / (1 - b1**t), s["exp_avg_sq"] / (1 - b2**t)
                move = group["lr"] * m / (self.root(v) + group["eps"])
                p.copy_((p - move).to(self.final))


class Narrow(Adam):
    kind = torch.float32


class Copied(Adam):
    final = torch.float32


class Moved(Adam):
    root = staticmethod(lambda v: v.sqrt().float().double())

    def step(self, closure=None):  # only the move is in float32: neither w nor the state shows it
        before = {p: p.detach().clone() for g in self.param_groups for p in g["params"]}
        super().step(closure)
        with torch.no_grad():
            for p, w in before.items():
                p.copy_(w + (p - w).float().double())


class Seven(Adam):
    root = staticmethod(lambda v: (v + 1e-7).sqrt())


class Eight(Adam):
    root = staticmethod(lambda v: (v + 1e-8).sqrt())


class Relative(Adam):
    root = staticmethod(lambda v: v.sqrt() * (1 + 3e-8))  # no known mistake, and nothing in float32


class NarrowWithoutRoot(Narrow):
    root = staticmethod(lambda v: v)


class SGD(torch.optim.Optimizer):
    """SGD of gradients in float32; `final` is the dtype in which it adds the step."""

    final = torch.float32

    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                d = p.grad.float() + group["weight_decay"] * p.float()
                if group["momentum"]:
                    b = self.state[p].get("momentum_buffer")
                    d = self.state[p]["momentum_buffer"] = d if b is None else group["momentum"] * b + d
                p.copy_(p.to(self.final) - group["lr"] * d.to(self.final))


class Added(SGD):
    final = torch.float64


@pytest.mark.parametrize("optimizer", [SGD, pytest.param(Added, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rule", [None, pytest.param("torch", marks=pytest.mark.slow)])
def test_sgd_that_is_all_in_float32_is_held_to_that(optimizer, rule):
    made = type("SGD", (optimizer,), {})
    found = {v.clause.id: v for v in examine(Here(load(made)), Plan(), rule).verdicts}
    assert {id: v.outcome for id, v in found.items() if v.outcome != PASSED} == {"rule": DIFFERS}
    assert "within float32 rounding" in found["rule"].note


def told(optimizer, rule):
    patient = Here(load(type("Adam", (optimizer,), {})))
    return next(examine(patient, Plan(only=("rule",)), rule).verdicts)


@pytest.mark.parametrize("rule", [None, "adam"])
@pytest.mark.parametrize("optimizer", [Narrow, Copied, Moved])
def test_what_is_in_float32_is_told_so(optimizer, rule):
    verdict = told(optimizer, rule)
    assert verdict.outcome == DIFFERS
    assert "within float32 rounding" in verdict.note


@pytest.mark.parametrize("rule", [None, "adam"])
@pytest.mark.parametrize(("optimizer", "constant"), [(Seven, "1e-07"), (Eight, "1e-08")])
def test_a_constant_under_the_root_is_no_rounding(optimizer, constant, rule):
    verdict = told(optimizer, rule)
    assert verdict.outcome == FAILED
    assert verdict.diagnosis == (
        f"A constant of {constant} is added under the root, in addition to ε. This reproduces all "
        "recorded runs exactly."
    )


def test_a_known_mistake_is_named_though_all_is_in_float32():
    verdict = told(NarrowWithoutRoot, "adam")
    assert verdict.outcome == FAILED
    assert verdict.diagnosis == (
        "The second moment's root is left out. This reproduces all recorded runs within float32 rounding."
    )


@pytest.mark.parametrize("rule", [None, "adam"])
def test_what_is_nearly_right_and_in_float64_is_wrong(rule):
    verdict = told(Relative, rule)
    assert verdict.outcome == FAILED
    assert "within float32 rounding" not in f"{verdict.note}{verdict.diagnosis}"
    assert "or a small number is added" in verdict.diagnosis


class Nesterov(torch.optim.Optimizer):
    """Nesterov's momentum by its two points; `ahead` takes w, of the points and μ."""

    ahead = staticmethod(lambda y, before, mu: (1 + mu) * y - mu * before)

    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                y = p - group["lr"] * p.grad
                before = self.state[p].get("y", p.clone())
                self.state[p]["y"] = y
                p.copy_(self.ahead(y, before, group["momentum"]))


class ByDifference(Nesterov):
    ahead = staticmethod(lambda y, before, mu: y + mu * (y - before))


class Lossy(Nesterov):
    ahead = staticmethod(lambda y, before, mu: 1024 * y - (1023 * y - mu * (y - before)))


class DifferenceInFloat32(Nesterov):
    ahead = staticmethod(lambda y, before, mu: y + mu * (y - before).float().double())


def in_long_runs(optimizer):
    patient = Here(load(type("Nesterov", (optimizer,), {})))
    return {v.clause.id: v for v in examine(patient, Plan(only=("long", "later"))).verdicts}


@pytest.mark.parametrize("optimizer", [Nesterov, ByDifference])
def test_momentum_by_two_points_is_right(optimizer):
    found = in_long_runs(optimizer)
    assert {id: v.outcome for id, v in found.items()} == {"long": PASSED, "later": PASSED}


def test_few_roundings_of_float64_are_none_of_float32():
    verdict = in_long_runs(Lossy)["long"]
    assert verdict.outcome == FAILED
    assert "float32" not in verdict.diagnosis
    assert verdict.diagnosis.startswith("It deviates by a few float64 roundings")


def test_a_difference_in_float32_is_still_found():
    verdict = in_long_runs(DifferenceInFloat32)["long"]
    assert verdict.outcome == FAILED
    assert "by no more than float32 rounding" in verdict.diagnosis


def test_identify_knows_the_same():
    assert identify(Narrow).rough
    found = identify(Seven)
    assert (found.rule, found.rough) == (None, False)
    assert "1e-07 is added under the root" in found.mistake
