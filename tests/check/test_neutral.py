"""Options that no rule has are put out of the way, where they part an optimizer from its rule by design."""

from __future__ import annotations

import torch

from surefoot.check.arithmetic import examine
from surefoot.check.load import load
from surefoot.check.patient import Here
from surefoot.check.protocol import Plan
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED


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
        "max_norm and warmup are no hyperparameters of PyTorch's SGD; with max_norm=1000000000000000.0, "
        "warmup=None the plain steps are those of the rule, so it was judged with that: what they do "
        "otherwise was not."
    )


def test_one_that_the_user_gave_stays():
    found, (verdict,) = examined(SGD, options={"max_norm": 1.0})
    assert (found.rule, verdict.outcome) == (None, NOT_APPLICABLE)
    assert verdict.note.endswith("it is PyTorch's SGD; with max_norm=1.0, as given, it is not judged.")


def test_what_is_wrong_without_them_too_fails_and_they_are_named():
    _, (first, *_) = examined(Cubic, "torch")
    assert first.outcome == FAILED
    assert "max_norm and warmup may, of which the rule knows nothing" in first.diagnosis
