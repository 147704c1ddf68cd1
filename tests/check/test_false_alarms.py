"""What was once called a fault of an optimizer, and was none: met while surveying real libraries."""

from __future__ import annotations

import torch

from surefoot.check import check
from surefoot.check.verdict import DIFFERS, NOT_APPLICABLE, PASSED


class CarefulLoading(torch.optim.SGD):
    """Loads as torch does, and then looks after its own."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group.setdefault("later_option", 0)


def test_an_override_that_loads_by_torchs_own_means_shares_what_torch_shares():
    report = check(CarefulLoading, only=["loaded-apart"])
    assert report["loaded-apart"].outcome == DIFFERS


class Projected(torch.optim.SGD):
    """As SGDP: the step loses its part along w, if it is nearly at right angles to w anyhow."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d, lr = p.grad, group["lr"]
                if torch.cosine_similarity(d.flatten(), p.flatten(), 0).abs() < 0.1 / p.numel() ** 0.5:
                    d = d - (d * p).sum() / (p * p).sum() * p
                p.sub_(lr * d)
        return loss


def test_an_optimizer_that_looks_at_the_whole_tensor_is_not_held_to_a_split_of_it():
    assert check(Projected, only=["split"])["split"].outcome == NOT_APPLICABLE


class SignSGD(torch.optim.SGD):
    """By the sign of the gradient, which for a complex number is its direction."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * torch.sgn(p.grad))
        return loss


def test_steps_by_sign_may_go_back_and_forth_and_take_a_complex_sign():
    report = check(SignSGD, only=["shapes", "complex-parts"])
    assert report["shapes"].outcome == PASSED
    assert report["complex-parts"].outcome == DIFFERS
