"""What a class has fixed in its code is found, or not judged; what it offers is held to its rule."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED


class Plainly(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                s["t"] = s.get("t", 0) + 1
                p.sub_(group["lr"] * self.change(p, s, group))

    def average(self, s, name, d, keep, add):
        s[name] = keep * s.get(name, torch.zeros_like(d)) + add * d
        return s[name]


class SGDMomentum(Plainly):
    def change(self, p, s, group):
        return self.average(s, "b", p.grad, 0.9, 1)


class Adam(Plainly):
    def change(self, p, s, group):
        m, v = self.average(s, "m", p.grad, 0.9, 1 - 0.9), self.average(s, "v", p.grad**2, 0.98, 1 - 0.98)
        return m / (1 - 0.9 ** s["t"]) / ((v / (1 - 0.98 ** s["t"])).sqrt() + 1e-9)


class RMSprop(Plainly):
    def change(self, p, s, group):
        return p.grad / (self.average(s, "v", p.grad**2, 0.9, 0.1).sqrt() + 1e-6)


class NAG(Plainly):
    """As Nesterov's own: a momentum that grows, (t − 1) / (t + 2)."""

    def change(self, p, s, group):
        y, lr = p - group["lr"] * p.grad, group["lr"]
        new = y + (s["t"] - 1) / (s["t"] + 2) * (y - s.get("y", p))
        s["y"] = y
        return (p - new) / lr


class SGD(Plainly):
    """Uphill: what it offers is all that this needs."""

    def change(self, p, s, group):
        return -p.grad


class IgnoresMomentum(Plainly):
    def __init__(self, params, lr=0.1, momentum=0.0):
        torch.optim.Optimizer.__init__(self, params, {"lr": lr, "momentum": momentum})

    def change(self, p, s, group):
        return self.average(s, "b", p.grad, 0.9, 1)


def examined(optimizer, **how):
    examination = examine(Here(load(optimizer)), Plan(), **how)
    return examination.why, {v.clause.id: v for v in examination.verdicts}


@pytest.mark.parametrize(
    ("optimizer", "title"),
    [
        (SGDMomentum, "PyTorch's SGD with momentum=0.9, fixed in its code"),
        (Adam, "Adam with beta2=0.98 and eps=1e-09, fixed in its code"),
        (RMSprop, "RMSprop with alpha=0.9 and eps=1e-06, fixed in its code"),
    ],
)
def test_a_usual_value_in_the_code_is_found_and_held_to_its_rule(optimizer, title):
    why, found = examined(optimizer)
    assert why == f"{title}, by its name; its plain steps agree."
    assert {v.outcome for v in found.values()} <= {PASSED, NOT_APPLICABLE}
    assert found["rule"].outcome == found["long"].outcome == PASSED


def test_an_unusual_one_is_not_judged():
    why, found = examined(NAG)
    assert [v.outcome for v in found.values()] == [NOT_APPLICABLE]
    assert why.startswith(
        "By its name it would be PyTorch's SGD with Nesterov, but it has no known option for momentum"
    )
    assert why.endswith("--rule NAME checks it against a rule.")
    assert examined(NAG, rule="torch")[1]["rule"].outcome == FAILED


def test_a_class_called_sgd_claims_no_momentum():
    """Or the first exercise of a course would not be judged."""
    squared = type("SGD", (Plainly,), {"change": lambda self, p, s, group: p.grad * p.grad})
    why, found = examined(squared)
    assert why == "PyTorch's SGD, by its name and options."
    assert found["rule"].outcome == FAILED

    captured = type("SGD", (Plainly,), {"change": lambda self, p, s, group: p.grad})
    captured.__init__ = _captures
    captured.step = _with_captured
    _, found = examined(captured)
    assert found["rule"].outcome == PASSED
    assert found["changed-lr"].diagnosis.startswith("The learning rate is read once")


def _captures(self, params, lr=0.1):
    self.lr = lr
    torch.optim.Optimizer.__init__(self, params, {"lr": lr})


@torch.no_grad()
def _with_captured(self, closure=None):
    for group in self.param_groups:
        for p in (p for p in group["params"] if p.grad is not None):
            p.sub_(self.lr * p.grad)


def test_a_form_of_another_library_with_a_usual_value_in_the_code_is_found():
    class Adagrad(Plainly):
        def change(self, p, s, group):
            return p.grad / (self.average(s, "v", p.grad**2, 1, 1) + 1e-5).sqrt()

    why, found = examined(Adagrad)
    title = "Adagrad with ε under the root, as in Keras and optax with eps=1e-05, fixed in its code"
    assert why == f"{title}, by its name; its plain steps agree."
    assert {v.outcome for v in found.values()} <= {PASSED, NOT_APPLICABLE}


def test_a_known_mistake_beside_an_unusual_epsilon_is_found():
    class Adam(Plainly):
        def __init__(self, params, lr=0.1, beta=(0.9, 0.999)):
            torch.optim.Optimizer.__init__(self, params, {"lr": lr, "beta": beta})

        def change(self, p, s, group):
            beta1, beta2 = group["beta"]
            m = self.average(s, "m", p.grad, beta1, 1 - beta1)
            return m / (self.average(s, "v", p.grad**2, beta2, 1 - beta2).sqrt() + 1e-15)

    why, found = examined(Adam)
    assert why == "Adam with eps=1e-15, fixed in its code, by its name and options."
    assert found["rule"].diagnosis.startswith("The bias corrections are left out")


def test_a_known_mistake_needs_no_option():
    _, found = examined(SGD)
    assert found["rule"].diagnosis.startswith("The step goes uphill")


def test_an_option_that_is_offered_is_what_it_is_held_to():
    optimizer = type("SGD", (IgnoresMomentum,), {})
    assert examined(optimizer)[1]["rule"].outcome == FAILED


def test_a_decay_asked_for_keeps_what_is_fixed():
    class SGDW(SGDMomentum):
        def __init__(self, params, lr=0.1, weight_decay=0.0):
            torch.optim.Optimizer.__init__(self, params, {"lr": lr, "weight_decay": weight_decay})

        def change(self, p, s, group):
            return super().change(p, s, group) + group["weight_decay"] * p

    examination = examine(Here(load(SGDW)), Plan(only=("rule",)), decay="decoupled")
    why, found = examination.why, {v.clause.id: v for v in examination.verdicts}
    assert why == "PyTorch's SGD, as guessed, with decay=decoupled, as requested."
    assert found["rule"].outcome == PASSED
