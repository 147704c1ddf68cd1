"""Slips of bookkeeping, and of formulas with few options: each is told in words, and how to mend it."""

from __future__ import annotations

import math

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.identify import identify
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import DIFFERS, FAILED, PASSED


class Loop(torch.optim.Optimizer):
    """A plain loop over groups; `change` steps one parameter."""

    def __init__(self, params, lr=0.1, **options):
        super().__init__(params, {"lr": lr, **options})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.change(p, self.state[p], group)


class SGD(Loop):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay)

    def change(self, p, s, group):
        b = s.setdefault("b", torch.zeros_like(p))
        b.mul_(group["momentum"]).add_(p.grad + group["weight_decay"] * p)
        p.sub_(group["lr"] * b)


class DecaysAfter(SGD):
    def change(self, p, s, group):
        b = p.grad
        if group["momentum"]:
            b = s.setdefault("b", torch.zeros_like(p)).mul_(group["momentum"]).add_(p.grad)
        p.sub_(group["lr"] * b)
        p.sub_(group["weight_decay"] * p)


class StepsFirst(SGD):
    def change(self, p, s, group):
        b = s.setdefault("b", torch.zeros_like(p))
        d = p.grad + group["weight_decay"] * p
        p.sub_(group["lr"] * b)
        b.mul_(group["momentum"]).add_(d)


class Rebinds(SGD):
    def change(self, p, s, group):
        p = p - group["lr"] * p.grad


class KeepsLists(SGD):
    @torch.no_grad()
    def step(self, closure=None):
        listed = []
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                b = self.state[p].setdefault("b", torch.zeros_like(p))
                b.mul_(group["momentum"]).add_(p.grad + group["weight_decay"] * p)
                listed.append((p, b))
            for p, b in listed:
                p.sub_(group["lr"] * b)


class Records(SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p -= group["lr"] * p.grad


class Adam(Loop):
    """`group["decay"]` is what it takes for the weight decay."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def change(self, p, s, group):
        (b1, b2), sign = group["betas"], -1 if group["maximize"] else 1
        s["t"] = s.get("t", 0) + 1
        t, g = self.count(p, s, group), sign * p.grad
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
        p.sub_(self.decay(p, group, sign))
        p.sub_(self.rate(group) * s["m"] / (1 - b1**t) / ((s["v"] / (1 - b2**t)).sqrt() + self.eps(group)))

    def count(self, p, s, group):
        return s["t"]

    def rate(self, group):
        return group["lr"]

    def decay(self, p, group, sign):
        return group["lr"] * group["weight_decay"] * p

    def eps(self, group):
        return group["eps"]


class Grows(Adam):
    def decay(self, p, group, sign):
        return sign * super().decay(p, group, sign)


class OrDefault(Adam):
    def decay(self, p, group, sign):
        return group["lr"] * (group["weight_decay"] or self.defaults["weight_decay"]) * p


class RateOrDefault(Adam):
    def rate(self, group):
        return group["lr"] or self.defaults["lr"]


class KeepsMaximize(Adam):  # as nearly all of pytorch_optimizer does
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, maximize)
        self.maximize = maximize

    def change(self, p, s, group):
        super().change(p, s, {**group, "maximize": self.maximize})


class KeepsDecay(Adam):
    """Its weight decay has a name of its own, in the group too."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, wd=0.0):
        Loop.__init__(self, params, lr, betas=betas, eps=eps, wd=wd, maximize=False)
        self.wd = wd

    def decay(self, p, group, sign):
        return group["lr"] * self.wd * p


class NamesDecay(KeepsDecay):
    def decay(self, p, group, sign):
        return group["lr"] * (group["wd"] or self.wd) * p


class ScalesEps(Adam):
    def eps(self, group):
        return group["eps"] * group["lr"]


class FirstCount(Adam):
    def count(self, p, s, group):
        first = next(p for p in group["params"] if p.grad is not None)
        return self.state[first]["t"]


class Adamax(Loop):
    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas=betas, eps=eps)

    def change(self, p, s, group):
        b1, b2 = group["betas"]
        s["m"] = b1 * s.get("m", torch.zeros_like(p)) + (1 - b1) * p.grad
        s["u"] = torch.maximum(b2 * s.get("u", torch.zeros_like(p)), p.grad.abs() + group["eps"])
        p.sub_(group["lr"] * s["m"] / s["u"])


class Adagrad(Loop):
    def __init__(self, params, lr=1e-2, lr_decay=0.0, eps=1e-10):
        super().__init__(params, lr, lr_decay=lr_decay, eps=eps)

    def change(self, p, s, group):
        s["t"] = s.get("t", 0) + 1
        s["sum"] = s.get("sum", 0) + p.grad**2
        rate = group["lr"] / (1 + s["t"] * group["lr_decay"])
        p.sub_(rate * p.grad / (s["sum"].sqrt() + group["eps"]))


class AMSGrad(Loop):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
        super().__init__(params, lr, betas=betas, eps=eps, amsgrad=amsgrad)

    def change(self, p, s, group):
        b1, b2 = group["betas"]
        s["t"] = t = s.get("t", 0) + 1
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
        s["v"] = v = b2 * s.get("v", 0) + (1 - b2) * p.grad**2
        if group["amsgrad"]:
            v, s["max"] = s.get("max", v), torch.maximum(s.get("max", v), v)
        p.sub_(group["lr"] * s["m"] / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + group["eps"]))


class Products(AMSGrad):
    """Its bias corrections are products of the betas that each step had."""

    def change(self, p, s, group):
        b1, b2 = group["betas"]
        s["c1"], s["c2"] = s.get("c1", 1.0) * b1, s.get("c2", 1.0) * b2
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
        s["v"] = v = b2 * s.get("v", 0) + (1 - b2) * p.grad**2
        if group["amsgrad"]:
            s["max"] = v = torch.maximum(s.get("max", v), v)
        p.sub_(group["lr"] * s["m"] / (1 - s["c1"]) / ((v / (1 - s["c2"])).sqrt() + group["eps"]))


SLIPS = [  # made, rule, the clause that tells it, what it says, how to mend it
    (
        DecaysAfter,
        "torch",
        "rule",
        "Weight decay shrinks the parameter after the step",
        "surefoot explain torch ",
    ),
    (StepsFirst, "torch", "rule", "The step uses the buffer from before its update, which starts at 0", ""),
    (Rebinds, "torch", "rule", "Parameters never change", "p -= …"),
    (KeepsLists, "torch", "groups-arithmetic", "The parameters of a group are stepped again", "empty lists"),
    (Records, "torch", "rule", "Autograd records the operations of step()", "@torch.no_grad()"),
    (
        Grows,
        "adamw",
        "rule",
        "Maximize flips the sign of the weight decay too: weights grow",
        "explain adamw ",
    ),
    (OrDefault, "adamw", "changed-options", "Where the option weight_decay is 0", "Treat 0 as a value"),
    (RateOrDefault, "adamw", "changed-lr", "Where the learning rate is 0", "Treat 0 as a value"),
    (
        KeepsMaximize,
        "adamw",
        "groups-arithmetic",
        "The option maximize of the constructor, or of the first group, is used for every group.",
        "inside the loop over param_groups",
    ),
    (NamesDecay, "adamw", "changed-options", "Where the option wd is 0", "Treat 0 as a value"),
    (ScalesEps, "adamw", "rule", "ε is multiplied by the learning rate", ""),
    (FirstCount, "adamw", "late", "The count of a group's first parameter", ""),
    (Adamax, "adamax", "rule", "The bias correction is left out", "surefoot explain adamax "),
    (Adagrad, "adagrad", "rule", "lr_decay counts one step too many", ""),
    (AMSGrad, "adam", "rule", "AMSGrad divides by the largest mean from before the step", ""),
]
QUICK = (StepsFirst, Rebinds, KeepsLists, OrDefault, Adagrad, KeepsMaximize)


@pytest.mark.parametrize(
    ("made", "rule", "id", "said", "mend"),
    [pytest.param(*s, id=s[0].__name__, marks=() if s[0] in QUICK else pytest.mark.slow) for s in SLIPS],
)
def test_a_slip_is_told_once_and_how_to_mend_it(made, rule, id, said, mend):
    found = [v for v in examine(Here(load(made)), Plan(), rule).verdicts if v.outcome == FAILED]
    assert found[0].clause.id == id
    assert found[0].diagnosis.startswith(said)
    assert mend in (found[0].mend or found[0].clause.mend)
    assert [v.clause.id for v in found if v.repro] == [id]


def test_an_option_kept_from_the_constructor_is_told_by_the_name_that_it_has():
    plan = Plan(only=("changed-options", "groups-arithmetic"))
    changed, groups = examine(Here(load(KeepsDecay)), plan, "adamw").verdicts
    assert changed.diagnosis.startswith("The option wd is read once, at construction or at the first step")
    assert groups.diagnosis.startswith("The option wd of the constructor, or of the first group, is used")


class CountsAndRaises(Adam):  # torch-optimi's foreach path
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if not any(p.grad is not None for p in group["params"]):
                raise RuntimeError("no tensors")
            group["t"] = group.get("t", 0) + 1
        super().step(closure)

    def count(self, p, s, group):
        return group["t"]


def test_a_count_of_the_group_is_a_convention_where_a_group_without_gradients_raises():
    plan = Plan(only=("late", "long"))
    late, long = examine(Here(load(CountsAndRaises)), plan, "adamw").verdicts
    assert (late.outcome, long.outcome) == (FAILED, DIFFERS)
    assert late.note.endswith("raise an exception")
    assert "no tensors" in late.got


def test_counts_of_ones_own_are_no_convention_where_late_gradients_fail():
    outcomes = {v.clause.id: v.outcome for v in examine(Here(load(FirstCount)), Plan(), "adamw").verdicts}
    assert {id for id, outcome in outcomes.items() if outcome == FAILED} == {"late", "long"}
    assert DIFFERS not in outcomes.values()


@pytest.mark.parametrize(
    ("made", "rule", "said"),
    [
        (Products, "adam", "products of each step's betas"),
        (SGD, "torch", "also accumulates gradients while momentum is 0"),
    ],
)
def test_what_is_the_same_while_options_stay_is_another_convention(made, rule, said):
    verdicts = {v.clause.id: v for v in examine(Here(load(made)), Plan(), rule).verdicts}
    assert {id: v.outcome for id, v in verdicts.items() if v.outcome != PASSED} == {
        "changed-options": DIFFERS
    }
    assert said in verdicts["changed-options"].note


class MyAdam(Adam):
    """Its ε is added to the root before the correction."""

    def eps(self, group):
        return group["eps"] / math.sqrt(1 - group["betas"][1] ** self.t)

    def count(self, p, s, group):
        self.t = s["t"]
        return self.t


def test_what_it_would_be_by_its_name_is_said_to_take_other_steps():
    (verdict,) = examine(Here(load(MyAdam)), Plan(only=("rule",))).verdicts
    assert verdict.outcome == DIFFERS
    assert verdict.note.endswith("By its name it would be Adam, which takes other steps")


class RMSprop(Loop):
    """Its buffer goes on while momentum is 0, where torch's rests."""

    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0):
        super().__init__(params, lr, alpha=alpha, eps=eps, momentum=momentum)

    def change(self, p, s, group):
        s["v"] = group["alpha"] * s.get("v", 0) + (1 - group["alpha"]) * p.grad**2
        s["b"] = group["momentum"] * s.get("b", 0) + p.grad / (s["v"].sqrt() + group["eps"])
        p.sub_(group["lr"] * s["b"])


def test_a_buffer_that_goes_on_without_momentum_is_no_fault_elsewhere():
    (verdict,) = examine(Here(load(RMSprop)), Plan(only=("changed-options",)), "rmsprop").verdicts
    assert verdict.outcome == PASSED


class LowPrecision(SGD):
    """Adds its rounding error again, where it should be made up for (Kahan)."""

    def change(self, p, s, group):
        if p.dtype not in (torch.bfloat16, torch.float16):
            return super().change(p, s, group)
        before = p.clone()
        c = s.setdefault("c", torch.zeros_like(p))
        super().change(p, s, group)
        p.add_(c)
        c.add_(before - p)


@pytest.mark.parametrize(
    "id", ["moved", *(pytest.param(i, marks=pytest.mark.slow) for i in ("sizes", "dtypes"))]
)
def test_what_is_wrong_in_few_bits_alone_is_told_so(id):
    (verdict,) = examine(Here(load(LowPrecision)), Plan(only=(id,)), "torch").verdicts
    assert "deviate from the rule in bfloat16, but follow it in float64" in verdict.diagnosis
    assert "float32" in verdict.mend


def test_where_it_shrinks_without_the_learning_rate_is_read_off():
    assert (
        identify(DecaysAfter)["weight decay"] == "w shrinks by λ, without the learning rate, after the step"
    )
