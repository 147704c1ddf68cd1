"""A class of its own, no torch.optim.Optimizer: told as one fault, and examined as far as that goes."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.identify import identify
from surefoot.check.verdict import NOT_APPLICABLE, PASSED


class Plain:
    """As in many first lectures: a list of parameters, step() and zero_grad()."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        if lr < 0 or momentum < 0:
            raise ValueError("lr and momentum must not be negative")
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.buffers = [torch.zeros_like(p) for p in self.params]

    def step(self):
        with torch.no_grad():
            for i, p in enumerate(self.params):
                if p.grad is not None:
                    self.buffers[i] = self.momentum * self.buffers[i] + p.grad
                    p -= self.lr * self.buffers[i]

    def zero_grad(self):
        for p in self.params:
            if p.grad is not None:
                p.grad.zero_()


class Forgetful(Plain):
    """Its zero_grad() does nothing, and it is stepped without a gradient."""

    def step(self):
        with torch.no_grad():
            for p in self.params:
                p -= self.lr * (0 if p.grad is None else p.grad) + self.lr * 0.125 * p

    def zero_grad(self):
        pass


class Unready(torch.optim.Optimizer):
    """An Optimizer, whose __init__ does not call that of torch."""

    def __init__(self, params, lr=0.1):
        self.params, self.lr = list(params), lr

    @torch.no_grad()
    def step(self, closure=None):
        for p in self.params:
            p -= self.lr * p.grad


@pytest.fixture(scope="module")
def report():
    return check(Plain)


def test_it_is_told_once_and_first_with_what_is_missing(report):
    assert [v.clause.id for v in report.failures] == ["is-optimizer"]
    assert "param_groups, state, state_dict" in report["is-optimizer"].got
    assert report.notes[0].startswith("Plain is not a torch.optim.Optimizer: it has no param_groups, state")


ASKED = """
rule option-effect grad-kept no-gradient gradient-pauses late-gradient in-place version-moves nothing-else
zero-grad takes-parameters deep-copies order
"""


@pytest.mark.parametrize("id", ASKED.split())
def test_what_needs_no_groups_is_asked_of_it(report, id):
    assert report[id].outcome == PASSED, report[id].note


@pytest.mark.parametrize(
    ("id", "lacks"),
    [
        ("group-options", "it has no param_groups"),
        ("live-options", "it has no param_groups"),
        ("resume", "it has no param_groups"),
        ("loaded-apart", "it has no load_state_dict"),
        ("dtype-state", "it has no state"),
        ("skipped-step", "it has no param_groups"),
        ("hooks", "it has no register_step_pre_hook"),
        ("closure-loss", "its step() does not accept a closure"),
    ],
)
def test_what_it_does_not_have_is_not_asked_for(report, id, lacks):
    assert (report[id].outcome, report[id].note) == (
        NOT_APPLICABLE,
        f"needs a torch.optim.Optimizer: {lacks}",
    )


def test_its_faults_are_found_all_the_same():
    failed = {v.clause.id for v in check(Forgetful, only=["gradients", "tooling"]).failures}
    assert failed == {"no-gradient", "gradient-pauses", "zero-grad"}


class Uncalled(Plain, torch.optim.Optimizer):
    """Derived from torch's, whose __init__ is not called; its step() is its own."""


class Groupless(torch.optim.Optimizer):
    """The same, but step() goes through the groups that are not there."""

    def __init__(self, params, lr=0.1):
        self.params, self.lr = list(params), lr

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= group["lr"] * p.grad


def test_a_subclass_that_was_never_made_an_optimizer_is_told_so_once():
    found = check(Uncalled)
    assert [v.clause.id for v in found.failures] == ["is-optimizer"]
    verdict = found["is-optimizer"]
    assert verdict.got == "[param_groups, state]"
    assert verdict.diagnosis == "Its __init__ does not call super().__init__(params, defaults)."
    assert verdict.mend.startswith("Begin __init__ with super().__init__(params, dict(lr=lr))")
    assert found.notes[0].startswith(
        "Uncalled derives from torch.optim.Optimizer, but is not initialized: it has no"
    )
    assert found["hooks"].outcome == NOT_APPLICABLE
    for id, name in (("resume", "param_groups"), ("deep-copies", "defaults")):
        assert (found[id].outcome, found[id].note) == (
            NOT_APPLICABLE,
            f"needs a torch.optim.Optimizer: it has no {name}",
        )


def test_groups_that_were_never_made_are_told_where_a_step_misses_them():
    found = check(Groupless)
    assert [v.clause.id for v in found.failures] == ["steps"]
    assert found["steps"].diagnosis == "Its __init__ does not call super().__init__(params, defaults)."


def test_other_faults_of_such_a_subclass_are_found_all_the_same():
    failed = {v.clause.id for v in check(Unready, only=["gradients", "tooling"]).failures}
    assert failed == {"no-gradient", "gradient-pauses", "late-gradient"}


def test_it_is_identified():
    found = identify(Plain)
    assert found["momentum"] == "0.9"
    assert "torch" in {r.name for r in found.fits}
