"""Options that no rule has are put out of the way, where they part an optimizer from its rule by design."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED
from surefoot.rules import rule


class SGD(torch.optim.Optimizer):
    """Bounds each gradient's norm, and warms up."""

    def __init__(self, params, lr=0.1, max_norm=1.0, warmup=4):
        super().__init__(params, {"lr": lr, "max_norm": max_norm, "warmup": warmup})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                t = self.state[p]["t"] = self.state[p].get("t", 0) + 1
                bound = float(group["max_norm"])
                share = min(1.0, bound / (float(p.grad.norm()) + 1e-6))
                p.sub_(group["lr"] * share * min(1.0, t / (group["warmup"] or 1)) * self.turned(p.grad))

    def turned(self, grad):
        return grad


class Cubic(SGD):
    def turned(self, grad):
        return grad**3 + 0.375


def examined(made, rule=None, options=None):
    found = examine(Here(load(made), options), Plan(quick=True), rule)
    return found, list(found.verdicts)


def test_what_options_of_its_own_do_by_design_is_no_failure():
    found, verdicts = examined(SGD)
    assert {v.outcome for v in verdicts} == {PASSED}
    assert found.aside == (
        "max_norm and warmup are not hyperparameters of PyTorch's SGD; it was judged with "
        "max_norm=1000000000000000.0, warmup=None, where the plain steps follow the rule; other values were "
        "not judged."
    )


def test_one_that_the_user_gave_stays():
    found, (verdict,) = examined(SGD, options={"max_norm": 1.0})
    assert (found.rule, verdict.outcome) == (None, NOT_APPLICABLE)
    assert verdict.note.endswith(
        "it follows PyTorch's SGD; with max_norm=1.0, as given, it does not, so the arithmetic is not judged."
    )


def test_what_is_wrong_without_them_too_fails_and_they_are_named():
    _, (first, *_) = examined(Cubic, "torch")
    assert first.outcome == FAILED
    assert "The cause may be max_norm and warmup, which the rule does not have" in first.diagnosis


class Mixed(torch.optim.Optimizer):
    """Has options that no rule of surefoot has, but the one beside it."""

    def __init__(self, params, lr=0.1, momentum=0.9, mix=0.5, k=2, late=False):
        if not isinstance(k, (int, float)) or (k != 2 and self.whole):
            raise ValueError("k is 2")
        defaults = {"lr": lr, "momentum": momentum, "mix": mix, "k": k, "late": late}
        super().__init__(params, defaults)

    whole = False

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                b = self.state[p].setdefault("b", torch.zeros_like(p))
                old = b.clone()
                b.mul_(group["momentum"]).add_(p.grad)
                share = self.share(group)
                mean = (1 - share) * p.grad + share * (old if group["late"] else b)
                p.sub_(group["lr"] * group["k"] * mean)

    def share(self, group):
        return group["mix"]


class Quarter(Mixed):
    def __init__(self, params, lr=0.1, momentum=0.9, mix=0.25, k=2):
        super().__init__(params, lr, momentum, mix, k)


class Constant(Mixed):
    def share(self, group):
        return 0.5


class Whole(Mixed):
    whole = True


@rule
def mixed(w, g, b=0, *, lr=0.1, momentum=0.9, mix=0.5, k=2, late=False):
    """Mixed momentum."""
    old = b
    b = momentum * b + g
    return w - lr * k * ((1 - mix) * g + mix * (old if late else b)), b


@pytest.mark.parametrize(
    ("made", "options", "aside"),
    [
        (Mixed, None, ""),
        (Mixed, {"k": 3}, ""),
        (Mixed, {"mix": 0.0}, ""),
        (Mixed, {"late": True}, ""),
        (Quarter, None, ""),
        (Whole, None, "k was kept at 2: with other values a step cannot be computed in floats."),
    ],
)
def test_options_with_the_names_of_the_given_rule_are_its_hyperparameters(made, options, aside):
    found, verdicts = examined(made, mixed, options)
    assert {v.outcome for v in verdicts} == {PASSED}
    assert found.aside == aside


def test_such_an_option_that_is_not_read_is_found():
    _, (first, *_) = examined(Constant, mixed)
    assert first.outcome == FAILED
