"""How far the arithmetic reaches: what once passed and was wrong, or was right and could not be examined."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from surefoot.check import check
from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, Verdict


def verdicts(subject, rule=None, *, options=None, **plan) -> dict[str, Verdict]:
    patient = Here(load(subject), options)
    return {v.clause.id: v for v in examine(patient, Plan(**plan), rule).verdicts}


def outcomes(found: dict[str, Verdict]) -> set[str]:
    return {v.outcome for v in found.values()}


def made_by_a_function(params):
    return torch.optim.SGD(params, lr=0.25, momentum=0.9)


def test_what_a_function_gives_the_optimizer_it_makes_is_known():
    for rule in (None, "torch"):
        found = verdicts(made_by_a_function, rule)
        assert outcomes(found) <= {PASSED, NOT_APPLICABLE}
        assert found["rule"].outcome == found["long"].outcome == PASSED


class MatrixSGD(torch.optim.SGD):
    def __init__(self, params, lr=0.1, momentum=0.0, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov)
        if any(p.ndim != 2 for group in self.param_groups for p in group["params"]):
            raise ValueError("matrices only")


class StepsMatrices(torch.optim.SGD):
    def step(self, closure=None):
        if any(p.ndim == 1 for group in self.param_groups for p in group["params"]):
            raise ValueError("StepsMatrices takes matrices only")
        return super().step(closure)


class WrongMatrixSGD(MatrixSGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    b = self.state[p].get("momentum_buffer")
                    b = self.state[p]["momentum_buffer"] = p.grad.clone() if b is None else b + p.grad
                    p.sub_(group["lr"] * b)


def test_what_takes_matrices_only_is_examined_on_matrices():
    for made in (MatrixSGD, StepsMatrices):
        found = verdicts(made)
        assert found["rule"].outcome == DIFFERS
        assert "it does not accept vectors" in found["rule"].note
        assert found["long"].outcome == PASSED
    report = check(StepsMatrices, only="shapes")
    assert report["shapes"].outcome == NOT_APPLICABLE
    assert verdicts(WrongMatrixSGD, "torch", only=("rule",))["rule"].outcome == FAILED


class Lion(torch.optim.Optimizer):
    """Updates the mean before it reads it."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    beta1, beta2 = group["betas"]
                    m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                    m.mul_(beta2).add_(p.grad, alpha=1 - beta2)
                    p.sub_(group["lr"] * (beta1 * m + (1 - beta1) * p.grad).sign())


def test_lions_order_of_updates_shows_in_plain_steps():
    found = verdicts(Lion, quick=True)
    assert found["rule"].outcome == FAILED
    assert "The mean is updated before the step reads it" in found["rule"].diagnosis


def test_an_option_that_does_not_go_here_is_no_fault():
    found = verdicts(torch.optim.Adam, options={"capturable": True})
    assert outcomes(found) == {NOT_APPLICABLE}
    assert "With capturable=True a step fails here: AssertionError" in found["rule"].note


class AdamBySomeone(torch.optim.Adam):
    """Not a name that is Adam's as a whole; its bias corrections count one step too many."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas, eps)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    s = self.state[p]
                    if not s:
                        s |= {"step": 1, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
                    s["step"] += 1
                    (beta1, beta2), t = group["betas"], s["step"]
                    s["exp_avg"].mul_(beta1).add_(p.grad, alpha=1 - beta1)
                    s["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                    v = (s["exp_avg_sq"] / (1 - beta2**t)).sqrt() + group["eps"]
                    p.sub_(group["lr"] * s["exp_avg"] / (1 - beta1**t) / v)


def test_a_known_mistake_of_the_rule_in_its_name_is_a_failure():
    found = verdicts(AdamBySomeone, only=("rule",))
    assert found["rule"].outcome == FAILED
    assert "Both bias corrections count one step too many" in found["rule"].diagnosis


class FrozenMoves(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_((group["lr"] or 0.01) * p.grad)


class Halved(torch.optim.SGD):
    """Gradients go through float16."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad.half().to(p.dtype))


class Deaf(torch.optim.SGD):
    """Gradients of nearly nothing are taken for nothing."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * torch.where(p.grad.abs() < 1e-6, 0, p.grad))


@pytest.mark.parametrize(("made", "clause"), [(FrozenMoves, "changed-lr"), (Halved, "long"), (Deaf, "long")])
def test_numbers_out_of_the_ordinary(made, clause):
    off = {"momentum": 0.0, "weight_decay": 0.0, "dampening": 0.0, "nesterov": False, "maximize": False}
    found = verdicts(made, "torch", only=(clause,), options=off)
    assert found[clause].outcome == FAILED


class Remembers(torch.optim.SGD):
    """The buffer of a vector goes on with that of the last one as long, of whatever optimizer."""

    buffers: ClassVar[dict] = {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    b = self.buffers.get(p.shape)
                    b = self.buffers[p.shape] = (
                        p.grad.clone() if b is None else group["momentum"] * b + p.grad
                    )
                    p.sub_(group["lr"] * b)


def test_state_that_outlives_its_optimizer_gets_no_reproduction_that_passes():
    found = verdicts(Remembers, "torch")
    for verdict in found.values():
        if verdict.outcome == FAILED and not verdict.repro and verdict.script:
            assert "This may pass when run again" in verdict.diagnosis
    assert found["rule"].outcome == FAILED


class WantsItsLoss(torch.optim.SGD):
    def step(self, closure):
        super().step()
        return closure()


def test_who_calls_its_closure_once_is_driven_without_one():
    found = verdicts(WantsItsLoss, "torch")
    assert outcomes(found) == {PASSED}
    assert (
        "super().step(closure or" in verdicts(WantsItsLoss, "keras", only=("changed-lr",))["changed-lr"].repro
    )


def diverging(params):
    return torch.optim.SGD(params, lr=2.5, weight_decay=5.0)


def test_what_runs_away_by_its_own_rule_is_no_fault():
    found = verdicts(diverging, "torch")
    assert found["later"].outcome == NOT_APPLICABLE
    assert "grows without bound" in found["later"].note
    assert outcomes(found) <= {PASSED, NOT_APPLICABLE}


class RaisesLate(torch.optim.SGD):
    def step(self, closure=None):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 250:
            raise ValueError("enough")
        return super().step(closure)


def test_what_is_raised_late_is_shown_by_no_more_steps_than_it_takes():
    found = verdicts(RaisesLate, "torch", only=("later",))
    assert "steps 1 to 250:" in found["later"].script
