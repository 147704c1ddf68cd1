"""What students and authors get wrong in Adam, RMSprop and their bookkeeping is called by its name."""

from __future__ import annotations

import pytest
import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED, NOT_APPLICABLE


class Written(torch.optim.Optimizer):
    """A plain loop; `change` makes the step of one parameter from what it is given."""

    change = staticmethod(lambda opt, group, p, state: None)

    def __init__(self, params, **options):
        super().__init__(params, options)

    @torch.no_grad()
    def step(self, closure=None):
        self.begun = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.change(self, group, p, self.state[p])


class Adam(Written):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr=lr, betas=betas, eps=eps)


class RMSprop(Written):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, centered=False):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, centered=centered)


class SGD(Written):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False):
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs momentum")
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


def adam(
    count=None, swap=False, ages=lambda t: (t, t), sign=1.0, whole=(), square=lambda g, m: g**2, stored=False,
    ratio=lambda m, v, eps, c1, c2: m / c1 / ((v / c2).sqrt() + eps),
):  # fmt: skip
    def change(opt, group, p, s):
        b1, b2 = reversed(group["betas"]) if swap else group["betas"]
        s["step"] = t = count(opt, group, p, s) if count else s.get("step", 0) + 1
        m = b1 * s.get("m", torch.zeros_like(p)) + (1 if "m" in whole else 1 - b1) * p.grad
        v = b2 * s.get("v", torch.zeros_like(p)) + (1 if "v" in whole else 1 - b2) * square(p.grad, m)
        first, second = ages(t)
        c1, c2 = 1 - b1**first, 1 - b2**second
        if stored:
            m, v, c1, c2 = m / c1, v / c2, 1, 1
        s["m"], s["v"] = m, v
        p.sub_(sign * group["lr"] * ratio(m, v, group["eps"], c1, c2))

    return change


def mixed(share, old, new):
    return share * old + (1 - share) * new


def swapped(share, old, new):
    return mixed(1 - share, old, new)


def rmsprop(ratio, mean=mixed, of_d=mixed, late=False):
    def change(opt, group, p, s):
        a, zeros = group["alpha"], torch.zeros_like(p)
        v, d = s.get("v", zeros), s.get("a", zeros)
        s["v"], s["a"] = mean(a, v, p.grad**2), of_d(a, d, p.grad)
        v, d = (v, d) if late else (s["v"], s["a"])
        u = ratio(p.grad, v - d**2 if group["centered"] else v, group["eps"])
        if group["momentum"]:
            u = s["b"] = group["momentum"] * s.get("b", torch.zeros_like(p)) + u
        p.sub_(group["lr"] * u)

    return change


def sgd(clamp=False, lag=False, lookahead=True, decay_by_lr=False):
    def change(opt, group, p, s):
        lr, wd = group["lr"], group["weight_decay"]
        d = p.grad.clamp(-1, 1) if clamp else p.grad
        d = d if decay_by_lr else d + wd * p
        w = p.clone()
        if group["momentum"]:
            mu = s.get("mu", group["momentum"]) if lag else group["momentum"]
            s["mu"] = group["momentum"]
            first = "b" not in s
            s["b"] = d.clone() if first else mu * s["b"] + d
            looks = group["nesterov"] and (lookahead or not first)
            d = d + group["momentum"] * s["b"] if looks else s["b"]
        p.sub_(lr * d)
        if decay_by_lr:
            p.sub_(lr * lr * wd * w)

    return change


def of_group(opt, group, p, s):
    group["count"] = group.get("count", 0) + 1
    return group["count"]


def of_who_began_together(opt, group, p, s):
    if "shared" not in s:
        fresh = [q for q in opt.begun if "shared" not in opt.state[q]]
        shared = torch.zeros(())
        for q in fresh:
            opt.state[q]["shared"] = shared
    return int(s["shared"].add_(1))


def usual(g, v, eps):
    return g / (v.sqrt() + eps)


SAID = [
    (Adam, adam(swap=True), "The two betas are swapped"),
    (Adam, adam(ages=lambda t: (t + 1, t + 1)), "Both bias corrections count one step too many"),
    (Adam, adam(ages=lambda t: (t + 1, t)), "The first moment's bias correction counts one step too many"),
    (Adam, adam(ages=lambda t: (t, t + 1)), "The second moment's bias correction counts one step too many"),
    (Adam, adam(sign=-1.0), "The step goes uphill"),
    (
        Adam,
        adam(ratio=lambda m, v, e, c, d: m / c / (v.sqrt() / d + e)),
        "The second moment's bias correction",
    ),
    (
        Adam,
        adam(ratio=lambda m, v, e, c, d: m * c / ((v * d).sqrt() + e)),
        "The means are multiplied by",
    ),
    (Adam, adam(whole="mv"), "Gradient and square are added to their means without the factors"),
    (Adam, adam(whole="m"), "The gradient is added to its mean without the factor"),
    (Adam, adam(whole="v"), "The square is added to its mean without the factor"),
    (Adam, adam(square=lambda g, m: m**2), "The second mean averages squares of the first mean"),
    (Adam, adam(stored=True), "The means are stored bias-corrected"),
    (Adam, adam(count=of_group), "The step count is incremented once per parameter, not once per step"),
    (Adam, adam(count=of_who_began_together), "The step count is one tensor shared by parameters"),
    (RMSprop, rmsprop(lambda g, v, eps: g / (v + eps)), "The root of the mean of squares is left out"),
    (RMSprop, rmsprop(lambda g, v, eps: -g / (v.sqrt() + eps)), "The step goes uphill"),
    (
        RMSprop,
        rmsprop(usual, lambda a, v, s: a * v + s),
        "The square is added to its mean without the factor",
    ),
    (RMSprop, rmsprop(usual, swapped, swapped), "α and 1 − α are swapped"),
    (RMSprop, rmsprop(usual, late=True), "The step divides by the mean of squares from before it"),
    (SGD, sgd(clamp=True), "Each element of a gradient is clamped to [−1, 1]"),
    (SGD, sgd(lag=True), "A change of the option momentum counts one step too late"),
    (SGD, sgd(lookahead=False), "Nesterov's look-ahead is missing at the first step"),
    (SGD, sgd(decay_by_lr=True), "The learning rate multiplies weight decay twice"),
]


QUICK = (
    "The two",
    "Both bias",
    "The step count is incremented",
    "The step goes",
    "Each element",
    "Nesterov's",
    "The means are m",
)
CASES = [
    pytest.param(*case, id=case[-1], marks=() if case[-1].startswith(QUICK) else pytest.mark.slow)
    for case in SAID
]


@pytest.mark.parametrize(("base", "change", "said"), CASES)
def test_a_mistake_is_called_by_its_name(base, change, said):
    optimizer = type(base.__name__, (base,), {"change": staticmethod(change)})
    patient = Here(load(optimizer))
    found = [v for v in examine(patient, Plan(), base.__name__.lower()).verdicts if v.outcome == FAILED]
    assert found
    assert found[0].diagnosis.startswith(said)
    assert [v.clause.id for v in found if v.repro] == [found[0].clause.id]  # the others show the same
    if found[0].clause.id != "changed-options":
        assert "This reproduces all recorded runs exactly." in found[0].diagnosis


def test_a_known_mistake_fails_under_any_name():
    optimizer = type("CustomOptimizer", (Adam,), {"change": staticmethod(adam(swap=True))})
    examination = examine(Here(load(optimizer)), Plan(only=("rule",)))
    assert "with a known mistake" in examination.why
    assert "meant to be a different rule" in examination.why
    (verdict,) = examination.verdicts
    assert verdict.outcome == FAILED
    assert verdict.diagnosis.startswith("The two betas are swapped")


def test_what_claims_another_method_is_told_what_it_comes_closest_to():
    optimizer = type("Belief", (Adam,), {"change": staticmethod(adam(swap=True))})
    (verdict,) = examine(Here(load(optimizer)), Plan()).verdicts
    assert verdict.outcome == NOT_APPLICABLE
    assert verdict.note == (
        "No known rule reproduces its plain steps, but Adam with a known mistake (the two betas are swapped: "
        "the first is used for the squares, the second for the mean) does. --rule NAME checks it against a "
        "rule."
    )


@pytest.mark.parametrize(("base", "change"), [(Adam, adam()), (RMSprop, rmsprop(usual)), (SGD, sgd())])
def test_without_a_mistake_nothing_is_said(base, change):
    optimizer = type(base.__name__, (base,), {"change": staticmethod(change)})
    assert not [v for v in examine(Here(load(optimizer)), Plan(quick=True)).verdicts if v.outcome == FAILED]


def of_all(opt, group, p, s):
    opt.count = getattr(opt, "count", 0) + 1
    return opt.count


def test_a_count_that_groups_share_shows_where_there_are_groups():
    optimizer = type("Adam", (Adam,), {"change": staticmethod(adam(count=of_all))})
    found = {v.clause.id: v for v in examine(Here(load(optimizer)), Plan(), "adam").verdicts}
    said = found["groups-arithmetic"].diagnosis
    assert said.startswith("One step count for all groups is incremented once per parameter")
