"""What a checkpoint of torch.distributed does not carry is told by its cause; each is seen in a library."""

from __future__ import annotations

import collections
import sys

import pytest
import torch

import surefoot
from surefoot.check import check
from surefoot.check.verdict import NOT_APPLICABLE

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch was built without distributed"
)
ID = "distributed-checkpoint"


class Kept(torch.optim.SGD):
    """SGD with momentum; `before` each step something more is done."""

    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr=lr, momentum=momentum)

    def before(self, group, p):
        pass

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.before(group, p)
        return super().step(closure)


class OfNoParameter(Kept):  # MADGRAD
    def before(self, group, p):
        self.state.setdefault("k", torch.zeros(1)).add_(1)


class History(Kept):  # AdaShift
    def before(self, group, p):
        self.state[p].setdefault("past", collections.deque(maxlen=2)).append(p.grad.clone())


class Later(Kept):  # Prodigy
    def before(self, group, p):
        if p.grad.any():
            group["largest"] = max(group.get("largest", 0.0), float(p.grad.abs().max()))


class Begun(Kept):  # APOLLO, schedulefree
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr, momentum)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["seed"] = 1


class ByLr(Kept):  # FTRL
    def before(self, group, p):
        p.mul_(torch.as_tensor(group["lr"]) / group["lr"] if group["lr"] else float("nan"))


class Numbered(Kept):  # AggMo
    def before(self, group, p):
        buffers = self.state[p].setdefault("buffers", {0.5: torch.zeros_like(p)})
        buffers[0.5].add_(p.grad)


class Tuples(Kept):  # Muon
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr, momentum)
        for group in self.param_groups:
            group["weights"] = (1.0, 2.0)

    def before(self, group, p):
        if not isinstance(group["weights"], tuple):
            raise TypeError("weights must be a tuple")


class Typed(Kept):  # optimuon, and surefoot.SGD once
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr, momentum)
        for group in self.param_groups:
            group["dtype"] = torch.float32


class DecaysByItself(Kept):  # pytorch_optimizer's AdaFactor, whose relative step does not use lr
    def __init__(self, params, lr=0.1, momentum=0.5, weight_decay=0.0):
        super().__init__(params, lr, momentum)
        for group in self.param_groups:
            group["weight_decay"] = weight_decay

    def before(self, group, p):
        p.mul_(1 - 0.01 * group["weight_decay"])


class Counts(Kept):  # StableSPAM
    def __init__(self, params, lr=0.1, momentum=0.5):
        super().__init__(params, lr, momentum)
        self.t = 0

    def before(self, group, p):
        self.t += 1
        p.mul_(1 - 0.01 / self.t)


@pytest.mark.parametrize(
    ("cls", "said", "diagnosis"),
    [
        (OfNoParameter, "KeyError: 'k'", "torch does not save 'k'"),
        (History, "Unexpected value type", "holds an object of type collections.deque"),
        (Typed, "Unexpected value type", "holds an object of type torch.dtype"),
        (Later, "KeyError", "group['largest'] does not exist before the first step"),
        (Begun, "Expected device to be set", "Either state existed before the first step"),
        (ByLr, "w, when the state has just been loaded", "The step with lr 0 and zero gradients changes w."),
        (Numbered, "KeyError: 0.5", "A numeric key becomes a string: 0.5 comes back as '0.5'."),
        (Tuples, "TypeError: weights must be a tuple", ""),
        (
            DecaysByItself,
            "w, when the state has just been loaded",
            "weight decay still changes w, with the optimizer's own",
        ),
        (Counts, "w, when the state has just been loaded", "The step with lr 0"),
    ],
    ids=lambda x: x.__name__ if isinstance(x, type) else "",
)
def test_what_is_lost_is_told_and_shown(cls, said, diagnosis):
    verdict = check(cls, only=[ID])[ID]
    assert verdict.outcome == "failed"
    assert said in verdict.note
    assert diagnosis in verdict.diagnosis
    assert bool(diagnosis) == bool(verdict.diagnosis)
    with pytest.raises((KeyError, ValueError, TypeError, AssertionError)):
        exec(verdict.repro, {"__name__": "pasted"})


class Plain(torch.optim.Optimizer):
    """It keeps nothing, and so need not load."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(p.grad, alpha=group["lr"])


class Nested(Kept):
    """Names all the way, as Shampoo has them."""

    def before(self, group, p):
        held = self.state[p].setdefault("preconditioners", {"left": torch.zeros_like(p), "seen": 0})
        held["left"].add_(p.grad)
        held["seen"] += 1
        p.sub_(held["left"], alpha=0.01 * group["lr"] * held["seen"])


def test_what_goes_through_passes_and_what_keeps_nothing_is_not_asked():
    verdict = check(Plain, only=[ID])[ID]
    assert (verdict.outcome, verdict.note) == ("not applicable", "it has no state to resume from")
    assert check(Nested, only=[ID])[ID].outcome == "passed"
    assert check(torch.optim.Adam, only=[ID])[ID].outcome == "passed"
    options = {"state_dtype": torch.float64, "momentum": 0.5}
    assert check(surefoot.SGD, options=options, only=[ID])[ID].outcome == "passed"


class NoClosure(torch.optim.SGD):
    """step() takes nothing, which `closure` tells: torch gives it closure=None."""

    def step(self):
        super().step()


def test_a_step_without_a_closure_is_told_elsewhere():
    assert check(NoClosure, only=[ID])[ID].outcome == "not applicable"


class Captured(torch.optim.SGD):
    """The constructor's lr, whatever the group says."""

    def __init__(self, params, lr=0.1, momentum=0.5, weight_decay=0.25):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.lr = lr

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"], kept = self.lr, group["lr"]
            super().step()
            group["lr"] = kept


def test_an_lr_that_is_not_read_is_told_once():
    report = check(Captured, only=["live-options", ID])
    assert "lr" in report["live-options"].note
    assert "the same fault as in live-options." in report[ID].diagnosis


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_sharding_is_not_asked_where_processes_cannot_be_forked(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    report = check(torch.optim.SGD, only=["sharded"], deep=True)
    assert report["sharded"].outcome == NOT_APPLICABLE
    assert report["sharded"].note.startswith("Windows cannot fork the two processes")
