"""Optimizers that step while backward() runs, in hooks of their parameters: there is no step to be judged."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.identify import identify
from surefoot.check.protocol import IN_BACKWARD
from surefoot.check.verdict import NOT_APPLICABLE
from surefoot.errors import InputError


class InBackward(torch.optim.Optimizer):
    """Steps each parameter when its gradient is there, and frees that (as in LOMO)."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
        for group in self.param_groups:
            for p in group["params"]:
                p.register_post_accumulate_grad_hook(self.hooked)

    @torch.no_grad()
    def hooked(self, p):
        p.sub_(self.param_groups[0]["lr"] * p.grad)
        p.grad = None

    def step(self, closure=None):
        pass


@pytest.mark.parametrize("rule", [None, "torch"])
def test_what_steps_in_backward_is_told_so_and_not_accused(rule):
    report = check(InBackward, rule, skip="process")
    assert {(v.outcome, v.note) for v in report.verdicts} == {(NOT_APPLICABLE, IN_BACKWARD)}
    assert not report.examined


def test_nothing_can_be_identified_of_it():
    with pytest.raises(InputError, match="while backward"):
        identify(InBackward)


class OfMatrices(InBackward):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        if any(p.ndim != 2 for group in self.param_groups for p in group["params"]):
            raise ValueError("only matrices")


class Rescales(torch.optim.SGD):
    """Its constructor changes the parameters, and no hook does."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        for group in self.param_groups:
            for p in group["params"]:
                p.detach().mul_(0.5)


def test_one_that_takes_matrices_alone_is_seen_too_and_a_constructor_is_no_hook():
    assert check(OfMatrices, only=["rule"])["rule"].note == IN_BACKWARD
    assert check(Rescales, only=["steps"])["steps"].note != IN_BACKWARD
