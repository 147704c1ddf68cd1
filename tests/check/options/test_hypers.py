"""Hyperparameters under other names are asked for the same, as far as the name says what they are."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.options.hypers import named
from surefoot.check.verdict import NOT_APPLICABLE, PASSED


class Usual(torch.optim.Optimizer):
    """Momentum is accepted, whatever it is, and never used; so is a negative lr."""

    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group.get("lr", group.get("learning_rate")) * p.grad)


class Unusual(Usual):
    """The same under other names, in the groups too."""

    def __init__(self, params, learning_rate=0.1, mu=0.0):
        torch.optim.Optimizer.__init__(self, params, {"learning_rate": learning_rate, "mu": mu})


class Ported(Usual):
    """The groups have the names of torch, and a third of the lr; momentum is used."""

    def __init__(self, params, learning_rate=0.1, mu=0.0):
        if learning_rate < 0 or not 0 <= mu < 1:
            raise ValueError("out of range")
        super().__init__(params, learning_rate / 3, mu)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                b = self.state[p].get("b", torch.zeros_like(p))
                self.state[p]["b"] = b = group["momentum"] * b + p.grad
                p.sub_(group["lr"] * b)


@pytest.mark.parametrize(
    ("cls", "lr", "momentum"), [(Usual, "lr", "momentum"), (Unusual, "learning_rate", "mu")]
)
def test_what_is_accepted_or_unused_under_another_name_is_found(cls, lr, momentum):
    report = check(cls, only=["refuses-values", "option-effect", "live-options"])
    assert [v.clause.id for v in report.failures] == ["refuses-values", "option-effect"]
    assert report["refuses-values"].note == f"{lr}=-1.0 is rejected"
    assert report["option-effect"].note.startswith(f"{momentum}=0.75 changes")
    assert report["live-options"].outcome == PASSED


def test_options_that_the_groups_call_otherwise_are_not_looked_for_there():
    report = check(Ported, only=["construction", "options", "state"])
    assert report.ok, str(report)
    assert report["option-effect"].outcome == report["refuses-values"].outcome == PASSED
    assert report["group-options"].outcome == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"lr": 0.1, "mu": 0.9}, {"lr": "lr", "mu": "momentum"}),
        ({"lr": 0.1, "mu": 10.0}, {"lr": "lr"}),  # no share
        ({"lr": 0.1, "momentum": 0.9, "mu": 0.1}, {"lr": "lr", "momentum": "momentum"}),
        ({"lr": 0.1, "betas": (0.9, 0.99), "mu": 0.1}, {"lr": "lr", "betas": "betas"}),
        ({"lr": 0.1, "beta": (0.9, 0.99)}, {"lr": "lr"}),
        ({"lr": 0.1, "step_size": 30}, {"lr": "lr"}),  # of a schedule
        ({"eta": 0.1, "wd": 0.0, "friction": 0.5}, {"wd": "weight_decay"}),  # likely is not sure
    ],
)
def test_a_name_that_may_be_meant_otherwise_says_nothing(options, found):
    assert named(options) == found
