"""A step(closure=None) that calls its closure whether there is one or not."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here


class Calls(torch.optim.Optimizer):
    """Calls its closure once, as if there always were one."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"])
        return loss


class Computes(Calls):
    """Takes its gradients from its closure, so that none can be chosen (as in HesScale)."""

    def step(self, closure=None):
        self.zero_grad()
        loss, _ = closure()
        loss.backward()
        return super().step(lambda: loss)


class Looks(Calls):
    """Calls it only if it is there."""

    def step(self, closure=None):
        return super().step(closure or (lambda: None))


def test_the_cause_is_named_and_the_rest_is_judged():
    report = check(Calls)
    assert {v.clause.id for v in report.failures} == {"steps", "refuses-values"}
    steps = report["steps"]
    assert steps.diagnosis == "step() calls the closure even if it is None."
    assert "if closure is not None" in steps.mend
    assert "super().step(closure or" not in steps.repro
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        exec(steps.repro.replace("from test_calls_none import Calls", ""), {"Calls": Calls})
    assert any("it gets one that does nothing" in n for n in report.notes)
    assert report.rule == "torch"


def test_who_cannot_be_driven_is_not_judged_step_by_step():
    report = check(Computes)
    assert "steps" in {v.clause.id for v in report.failures}
    assert {v.clause.group for v in report.failures} == {"construction", "closure"}
    assert "cannot be run on chosen gradients" in report["rule"].note


def test_who_looks_whether_it_is_there_is_not_meant():
    assert not Here(load(Looks)).signature.calls_none
    assert not Here(load(torch.optim.LBFGS)).signature.calls_none


class Insists(torch.optim.SGD):
    """As the usual SAM, whose signature says that it does without a closure."""

    def step(self, closure=None):
        assert closure is not None, "SAM requires closure"
        super().step(closure)
        return super().step(closure)


def test_who_insists_on_a_closure_in_words_is_no_broken_combination():
    report = check(Insists)
    assert report["steps"].outcome == "not applicable"
    assert "needs a closure" in report["steps"].note
    assert report["closure-called"].outcome == "passed"


class Sharpness(torch.optim.SGD):
    """SAM, shortened: it goes uphill by the gradients that there are, then a step by those of the closure."""

    def step(self, closure=None):
        assert closure is not None, "SAM requires closure"
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        with torch.no_grad():
            norm = torch.stack([p.grad.norm() for p in params]).norm()
            held = [p.clone() for p in params]
            for p in params:
                p += 0.05 * p.grad / norm
        with torch.enable_grad():
            loss = closure()
        with torch.no_grad():
            for p, value in zip(params, held, strict=True):
                p.copy_(value)
        super().step()
        return loss


def test_who_goes_by_the_gradients_before_the_closure_has_some():
    report = check(Sharpness)
    assert report["closure-called"].outcome == report["closure-loss"].outcome == "passed"


class Needs(torch.optim.Optimizer):  # schedulefree's AdamWScheduleFreeClosure
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group["lr"] * p.grad)
        return loss


def test_hooks_of_who_is_given_a_closure_fire_once():
    assert check(Needs, only=["hooks"])["hooks"].outcome == "passed"


class Twice(torch.optim.SGD):
    def step(self, closure=None):
        return super().step(closure)


def test_hooks_of_who_calls_a_step_that_fires_them_fire_twice():
    assert check(Twice, only=["hooks"])["hooks"].outcome == "differs"
