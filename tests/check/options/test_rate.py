"""An optimizer without an option for the learning rate: the one that its first move shows is taken for it."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.identify import identify
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED


class Each(torch.optim.Optimizer):
    """A plain loop, whose learning rate stands in its code."""

    def __init__(self, params, **options):
        super().__init__(params, options)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(self.change(p.grad, self.state[p], group))


class SGD(Each):
    def __init__(self, params):
        super().__init__(params)

    def change(self, g, s, group):
        return 0.1 * g


class Momentum(Each):
    def __init__(self, params, momentum=0.5):
        super().__init__(params, momentum=momentum)

    def change(self, g, s, group):
        s["b"] = group["momentum"] * s.get("b", torch.zeros_like(g)) + g
        return 0.125 * s["b"]


class Adam(Each):
    def __init__(self, params, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, betas=betas, eps=eps)

    def change(self, g, s, group):
        b1, b2 = group["betas"]
        s["t"] = t = s.get("t", 0) + 1
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
        return 0.003 * s["m"] / (1 - b1**t) / ((s["v"] / (1 - b2**t)).sqrt() + group["eps"])


def examined(optimizer, *only):
    examination = examine(Here(load(optimizer)), Plan(only=only))
    return {v.clause.id: v for v in examination.verdicts}, examination.aside


@pytest.mark.parametrize(
    ("optimizer", "rate"), [(SGD, "0.1"), (Momentum, "0.125"), (Adam, "0.003")], ids=lambda x: str(x)
)
def test_a_right_one_is_held_to_the_rate_that_its_first_move_shows(optimizer, rate):
    found, aside = examined(optimizer)
    assert {v.outcome for id, v in found.items() if id != "changed-options"} <= {PASSED, NOT_APPLICABLE}
    assert found["rule"].outcome == found["long"].outcome == PASSED
    assert f"no option for the learning rate; the value used is {rate}, inferred from its first step" in aside


def test_a_wrong_one_is_wrong_by_that_rate_too():
    squared = type("SGD", (SGD,), {"change": lambda self, g, s, group: 0.1 * g * g})
    found, _ = examined(squared, "rule")
    assert found["rule"].outcome == FAILED
    assert "0.001" not in found["rule"].expected
    uphill = type("SGD", (SGD,), {"change": lambda self, g, s, group: -0.1 * g})
    assert examined(uphill, "rule")[0]["rule"].diagnosis.startswith("The step goes uphill")


def test_identify_speaks_of_no_learning_rate_that_there_is_not():
    found = identify(SGD)
    assert found.rule.name == "torch"
    assert found["learning rate"] == "not an option"
    assert "keras" not in found.ruled_out  # by a default of its own
    assert "of the learning rate" not in str(found)
    assert "full learning rate" not in str(found)
    assert identify(Adam).rule.name == "adam"
    uphill = type("SGD", (SGD,), {"change": lambda self, g, s, group: -0.1 * g})
    assert identify(uphill)["gain"] == "−0.1"
