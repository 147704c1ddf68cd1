"""Steps that leave a loop too early, that make NaN, or that read what is not there: told by their cause."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.identify import identify
from surefoot.check.verdict import FAILED, PASSED


class Each(torch.optim.Optimizer):
    """SGD with momentum; `update` is the step of one parameter."""

    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def update(self, p, group):
        v = self.state[p].setdefault("v", torch.zeros_like(p))
        v.mul_(group["momentum"]).add_(p.grad)
        p.sub_(group["lr"] * v)


class FirstGroup(Each):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, group)
            return None  # in the loop


class NoLoop(Each):
    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        for p in (p for p in group["params"] if p.grad is not None):
            self.update(p, group)


class FirstParameter(Each):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.update(p, group)
                break


class ReturnsAtNone(Each):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    return
                self.update(p, group)


class BreaksAtNone(Each):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    break
                self.update(p, group)


@pytest.mark.parametrize(
    ("cls", "said", "mend"),
    [
        (FirstGroup, "Only the first group is stepped", "return None  # in the loop; move a `return`"),
        (NoLoop, "Only the first group is stepped", "Loop over all of self.param_groups"),
        (FirstParameter, "Only the first parameter of each group is stepped", ": break; move a `return`"),
        (ReturnsAtNone, "The first parameter without a gradient ends the loop, so that none", ": return)"),
        (BreaksAtNone, "The first parameter without a gradient ends the loop, so that those", ": break)"),
    ],
)
def test_a_loop_that_ends_too_early_is_named_with_its_line(cls, said, mend):
    verdict = check(cls, "torch", only=["late"])["late"]
    assert verdict.outcome == FAILED
    assert verdict.diagnosis.startswith(said)
    assert "reproduces all recorded runs exactly" in verdict.diagnosis
    assert mend in verdict.mend


def test_a_group_that_is_never_stepped_is_not_told_to_keep_its_state_elsewhere():
    report = check(FirstGroup, only=["group-options", "two-groups", "add-group"])
    told, *again = report.failures
    assert told.diagnosis == "This parameter is never stepped: it is where it started."
    assert "return None" in told.mend
    assert again
    assert all(v.same_as == told.clause.id for v in again)


class Whole(Each):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.update(p, group)


class OnGradient(Whole):
    def update(self, p, group):
        v = self.state[p].setdefault("v", torch.zeros_like(p))
        v.add_(p.grad, alpha=group["momentum"])
        p.sub_(group["lr"] * v)


class OddlyStill(Whole):
    def update(self, p, group):
        p.sub_(group["lr"] * group["momentum"] ** 3 * p.grad.sign() * p.grad**2)


def test_momentum_on_the_gradient_is_told_as_that():
    verdict = check(OnGradient, "torch", only=["rule"])["rule"]
    assert verdict.diagnosis.startswith("Momentum multiplies the gradient instead of the buffer.")
    assert "buf.mul_(momentum).add_(grad)" in verdict.mend


def test_what_moves_in_other_runs_is_not_said_never_to_move():
    verdict = check(OddlyStill, "torch", only=["rule"])["rule"]
    assert verdict.outcome == FAILED
    assert "never change" not in verdict.diagnosis


class Variant(torch.optim.Optimizer):
    """Adam's step with t from 0: 0/0."""

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                t = s.get("t", 0)
                s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
                s["v"] = b2 * s.get("v", 0) + (1 - b2) * p.grad**2
                p.sub_(group["lr"] * s["m"] / (1 - b1**t) / (s["v"] / (1 - b2**t)).sqrt())
                s["t"] = t + 1


def test_what_makes_nan_of_finite_gradients_fails_whatever_its_name():
    report = check(Variant, quick=True)
    (verdict,) = report.failures
    assert verdict.clause.id == "steps"
    assert verdict.got == "1"
    assert verdict.diagnosis.startswith("The first step already makes w NaN or infinite")
    assert "raise it before it is used" in verdict.mend


class Unset(Whole):
    def update(self, p, group):
        state = self.state[p]
        state["v"] = group["momentum"] * state["v"] + p.grad
        p.sub_(group["lr"] * state["v"])


class WrongKey(Whole):
    def update(self, p, group):
        p.sub_(group["rate"] * p.grad)


def test_state_that_is_read_before_it_is_written_is_told_as_that():
    report = check(Unset, "torch", only=["rule", "steps"])
    for verdict in report.failures:
        assert verdict.diagnosis.startswith("state['v'] is read before step() has written it")
        assert "state['v'] = torch.zeros_like(p)" in verdict.mend
    assert len(report.failures) == 2
    assert not check(WrongKey, "torch", only=["steps"])["steps"].diagnosis


class Listed(Each):
    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, lr, momentum)
        self.v = [torch.zeros_like(p) for g in self.param_groups for p in g["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        i = 0
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.v[i] = group["momentum"] * self.v[i] + p.grad
                p.sub_(group["lr"] * self.v[i])
                i += 1


class Zeroes(Whole):
    def update(self, p, group):
        super().update(p, group)
        p.grad.zero_()


class Recorded(Each):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.update(p, group)


def test_advice_fits_the_slip():
    assert "at an index that shifts" in check(Listed, "torch", only=["late"])["late"].diagnosis
    assert "Take p.grad.zero_() out of step()" in check(Zeroes, only=["grad-kept"])["grad-kept"].mend
    verdict = check(Recorded, only=["steps"])["steps"]
    assert verdict.diagnosis == "Autograd records what step() does."
    assert "torch.no_grad()" in verdict.mend
    assert check(Whole, "torch", only=["late", "steps", "group-options"])["late"].outcome == PASSED


class Uphill(Whole):
    def update(self, p, group):
        v = self.state[p].setdefault("v", torch.zeros_like(p))
        v.mul_(group["momentum"]).add_(p.grad)
        p.add_(group["lr"] * v)


def test_identify_says_that_it_climbs():
    found = identify(Uphill, options={"momentum": 0.9})
    assert found["direction"] == "uphill"
    assert found["dampening"] == "0"
    assert "lr enters with the other sign" in str(found).replace("\n", " ").replace("  ", "")
    meant = identify(torch.optim.SGD, options={"momentum": 0.9, "maximize": True})
    assert meant["direction"] == "uphill"
    assert "other sign" not in str(meant)
