"""Options that show only in company: on vectors, beside a switch, in a mode, once a Hessian is there."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.contract.questions import Questions
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.check.verdict import FAILED, PASSED

OPTIONS = ["option-effect", "live-options"]


class Loop(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, **more):
        super().__init__(params, {"lr": lr, **more})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                p.sub_(group["lr"] * self.update(p, p.grad, self.state[p], group))


class BesideMuon(Loop):
    """Matrices by their sign; betas and eps are Adam's, for vectors alone."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas=betas, eps=eps)

    def update(self, p, grad, state, group):
        if p.ndim > 1:
            return grad.sign()
        beta1, beta2 = group["betas"]
        m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * grad
        v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * grad**2
        return m / (v.sqrt() + group["eps"])


class Captures(BesideMuon):
    """The same, but the betas are those of the constructor."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas, eps)
        self.betas = betas

    def update(self, p, grad, state, group):
        return super().update(p, grad, state, {**group, "betas": self.betas})


class Looks(Loop):
    """alpha is of the looking ahead, which is off."""

    def __init__(self, params, lr=0.1, lookahead=False, alpha=0.25):
        super().__init__(params, lr, lookahead=lookahead, alpha=alpha)

    def update(self, p, grad, state, group):
        return grad * (group["alpha"] if group["lookahead"] else 1)


class Modes(Loop):
    """eps is used in the mode that is not the default."""

    def __init__(self, params, lr=0.1, mode="sgd", eps=1e-8):
        super().__init__(params, lr, mode=mode, eps=eps)

    def update(self, p, grad, state, group):
        return grad if group["mode"] == "sgd" else grad / (grad.abs() + group["eps"])


class Sophia(Loop):
    """rho counts where there is a Hessian, which another method brings."""

    def __init__(self, params, lr=0.1, rho=0.04):
        super().__init__(params, lr, rho=rho)

    def update_hessian(self):
        for p in (p for group in self.param_groups for p in group["params"]):
            self.state[p]["hessian"] = p.grad**2

    def update(self, p, grad, state, group):
        return grad / (1 + group["rho"] * state.setdefault("hessian", torch.zeros_like(p)))


class Unused(Modes):
    """The code of no method but the constructor has momentum in it."""

    def __init__(self, params, lr=0.1, mode="sgd", eps=1e-8, momentum=0.0):
        super().__init__(params, lr, mode, eps)
        self.param_groups[0]["momentum"] = momentum


class OfADtype(Loop):
    """A word that is a dtype decides nothing, and rho is read and of no use."""

    def __init__(self, params, lr=0.1, rho=0.9, storage="bfloat16"):
        super().__init__(params, lr, rho=rho, storage=storage)

    def update(self, p, grad, state, group):
        return grad + 0 * group["rho"]


@pytest.mark.parametrize("cls", [BesideMuon, Looks])
def test_an_option_that_shows_in_other_company_is_used(cls):
    report = check(cls, only=OPTIONS)
    assert [v.outcome for v in report.verdicts] == [PASSED, PASSED], str(report)


def test_an_option_of_vectors_that_is_captured_is_found():
    report = check(Captures, only=OPTIONS)
    assert report["option-effect"].outcome == PASSED
    assert report["live-options"].outcome == FAILED
    assert report["live-options"].note.endswith("changes the next steps of a vector")
    assert "betas" in report["live-options"].note


@pytest.mark.parametrize(
    ("cls", "option", "why"),
    [
        (Modes, "eps", "eps has no effect with mode='sgd', but the code reads it"),
        (Sophia, "rho", "rho has no effect before update_hessian() is called, but the code reads it"),
    ],
)
def test_what_is_read_for_another_way_is_not_called_unused(cls, option, why):
    assert Questions(Here(load(cls))).again("unread", {}, option=option) == why
    assert check(cls, only=OPTIONS).ok


@pytest.mark.parametrize(("cls", "option"), [(Unused, "momentum"), (OfADtype, "rho")])
def test_what_is_of_no_use_anywhere_is_unused_all_the_same(cls, option):
    verdict = check(cls, only=OPTIONS)["option-effect"]
    assert verdict.outcome == FAILED
    assert verdict.note.startswith(f"{option}=")
