"""Slips in the means, roots and corrections of Adam and its kin: each is told under `rule`, by its name."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED


class Each(torch.optim.Optimizer):
    """A plain loop; `change` steps one parameter."""

    def __init__(self, params, lr=0.1, **options):
        super().__init__(params, {"lr": lr, **options})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.change(p, p.grad, self.state[p], group)


class Adam(Each):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas=betas, eps=eps)

    def change(self, p, g, s, group):
        b1, b2 = group["betas"]
        if not s:
            self.start(s, p)
        s["t"] += 1
        self.means(s, g, b1, b2)
        m, v = self.corrected(s, b1, b2, s["t"])
        p.sub_(group["lr"] * m / self.root(v, group["eps"]))

    def start(self, s, p):
        s |= {"t": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def means(self, s, g, b1, b2):
        s["m"].mul_(b1).add_(g, alpha=1 - b1)
        s["v"].mul_(b2).add_(g * g, alpha=1 - b2)

    def corrected(self, s, b1, b2, t):
        return s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)

    def root(self, v, eps):
        return v.sqrt() + eps


def one_tensor(self, s, p):
    Adam.start(self, s, p)
    s["v"] = s["m"]


def with_shares(keep1, add1, keep2, add2):
    """Means by other shares, each made of both betas."""

    def means(self, s, g, b1, b2):
        s["m"].mul_(keep1(b1, b2)).add_(g, alpha=add1(b1, b2))
        s["v"].mul_(keep2(b1, b2)).add_(g * g, alpha=add2(b1, b2))

    return means


def first(b1, b2):
    return b1


def second(b1, b2):
    return b2


def but(share):
    return lambda b1, b2: 1 - share(b1, b2)


ADAMS = {
    "The first mean is stored bias-corrected": {
        "corrected": lambda self, s, b1, b2, t: (s["m"].div_(1 - b1**t), s["v"] / (1 - b2**t))
    },
    "The second mean is stored bias-corrected": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1**t), s["v"].div_(1 - b2**t))
    },
    "The second mean uses β₁ instead of β₂": {"means": with_shares(first, but(first), first, but(first))},
    "The first mean uses β₂ instead of β₁": {"means": with_shares(second, but(second), second, but(second))},
    "β₁ and 1 − β₁ are swapped": {"means": with_shares(but(first), first, second, but(second))},
    "β₂ and 1 − β₂ are swapped": {"means": with_shares(first, but(first), but(second), second)},
    "β and 1 − β are swapped in both": {"means": with_shares(but(first), first, but(second), second)},
    "Both bias corrections are (1 − β)ᵗ": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1) ** t, s["v"] / (1 - b2) ** t)
    },
    "The first moment's bias correction is (1 − β₁)ᵗ": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1) ** t, s["v"] / (1 - b2**t))
    },
    "The second moment's bias correction is (1 − β₂)ᵗ": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1**t), s["v"] / (1 - b2) ** t)
    },
    "The first moment's bias correction is 1 − β₁·t": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1 * t), s["v"] / (1 - b2**t))
    },
    "Both bias corrections are 1 − β at every step": {
        "corrected": lambda self, s, b1, b2, t: (s["m"] / (1 - b1), s["v"] / (1 - b2))
    },
    "Both means are one tensor": {"start": one_tensor},
    "The root is clamped to at least ε": {"root": lambda self, v, eps: v.sqrt().clamp(min=eps)},
}


class RMSprop(Each):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, lr, alpha=alpha, eps=eps)

    def change(self, p, g, s, group):
        a = group["alpha"]
        s["v"] = a * s.get("v", torch.zeros_like(p)) + (1 - a) * self.square(g)
        p.sub_(group["lr"] * g / self.root(s["v"], group["eps"]))

    def square(self, g):
        return g * g

    def root(self, v, eps):
        return v.sqrt() + eps


class Adagrad(Each):
    def __init__(self, params, lr=0.01, eps=1e-10):
        super().__init__(params, lr, eps=eps)

    def change(self, p, g, s, group):
        old = s.get("sum", torch.zeros_like(p))
        s["sum"] = old + self.square(g)
        p.sub_(group["lr"] * g / self.root(self.read(old, s["sum"]), group["eps"]))

    def read(self, old, new):
        return new

    def square(self, g):
        return g * g

    def root(self, v, eps):
        return v.sqrt() + eps


KIN = [
    (RMSprop, "The mean averages gradients that are not squared", {"square": lambda self, g: g}),
    (
        RMSprop,
        "The mean of gradients is squared",
        {"square": lambda self, g: g, "root": lambda self, v, eps: v.square().sqrt() + eps},
    ),
    (RMSprop, "The root is clamped to at least ε", {"root": lambda self, v, eps: v.sqrt().clamp(min=eps)}),
    (Adagrad, "The step divides by the sum of squares from before", {"read": lambda self, old, new: old}),
    (Adagrad, "The sum adds gradients that are not squared", {"square": lambda self, g: g}),
    (Adagrad, "The root is clamped to at least ε", {"root": lambda self, v, eps: v.sqrt().clamp(min=eps)}),
]
SAID = [*((Adam, said, slip) for said, slip in ADAMS.items()), *KIN]


def judged(base, name, slip):
    optimizer = type(name, (base,), slip)
    examination = examine(Here(load(optimizer)), Plan(only=("rule",)))
    (verdict,) = examination.verdicts
    return verdict


@pytest.mark.parametrize(("base", "said", "slip"), SAID, ids=[f"{b.__name__}-{s}" for b, s, _ in SAID])
def test_a_slip_is_called_by_its_name(base, said, slip):
    verdict = judged(base, base.__name__, slip)
    assert verdict.outcome == FAILED
    assert verdict.diagnosis.startswith(said)


def test_what_a_name_says_is_no_slip():
    clamped = ADAMS["The root is clamped to at least ε"]
    assert judged(Adam, "AdamMueller", clamped).outcome == FAILED
    assert judged(Adam, "AdamClamped", clamped).outcome == "not applicable"


@pytest.mark.parametrize("base", [Adam, RMSprop, Adagrad])
def test_without_a_slip_nothing_is_said(base):
    assert judged(base, base.__name__, {}).outcome == "passed"


def test_what_is_stored_by_mistake_and_what_is_one_tensor_is_told_how_to_mend():
    stored = judged(Adam, "Adam", ADAMS["The first mean is stored bias-corrected"])
    assert stored.mend.startswith("Correct a copy")
    assert judged(Adam, "Adam", ADAMS["Both means are one tensor"]).mend.startswith("Create two")


class AdamW(Adam):
    """With L2."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        Each.__init__(self, params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def change(self, p, g, s, group):
        super().change(p, g + group["weight_decay"] * p, s, group)


class Nesterov(Each):
    """As in cs231n, but what should be the velocity from before is the same tensor."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, lr, momentum=momentum)

    def change(self, p, g, s, group):
        v = before = s.setdefault("v", torch.zeros_like(p))
        v.mul_(group["momentum"]).sub_(group["lr"] * g)
        p.add_(-group["momentum"] * before + (1 + group["momentum"]) * v)


@pytest.mark.parametrize(
    ("base", "said", "mend"),
    [
        (AdamW, "Weight decay is added to the gradient, as L2", "Do not add weight decay to the gradient"),
        (Nesterov, "It has no look-ahead", "Step by g + momentum·buffer"),
    ],
)
def test_what_denies_its_name_is_told_a_fault_and_no_convention(base, said, mend):
    verdict = judged(base, base.__name__, {})
    assert verdict.outcome == FAILED
    assert verdict.diagnosis.startswith(said)
    assert "another convention" not in verdict.diagnosis
    assert verdict.mend.startswith(mend)


class Late(Adam):
    """Its count is raised after it is used: 1 − β⁰ is 0."""

    def corrected(self, s, b1, b2, t):
        return Adam.corrected(self, s, b1, b2, t - 1)


class Unwritten(Adam):
    def start(self, s, p):
        s |= {"t": 0, "m": torch.empty_like(p), "v": torch.empty_like(p)}


def test_nan_that_a_step_makes_is_told_from_memory_that_nobody_wrote():
    made = judged(Late, "Adam", {})
    assert made.diagnosis.startswith("The result is NaN at a first step, as from 0/0.")
    assert "torch.empty" not in made.repro
    read = judged(Unwritten, "Adam", {})
    assert "it most likely reads memory from torch.empty" in read.diagnosis
    assert "torch.empty makes NaN" in read.repro
