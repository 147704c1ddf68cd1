"""Hyperparameters: domains, and sentences for what is outside them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from surefoot.errors import InputError
from surefoot.rules import get
from surefoot.rules.hypers import HYPERS

WRONG = [
    ("torch", {"lr": -1}, "lr is -1; it must be a number with γ ≥ 0."),
    ("torch", {"lr": float("nan")}, "lr is nan; it must be a number with γ ≥ 0."),
    ("torch", {"lr": "fast"}, "lr is 'fast'; it must be a number with γ ≥ 0."),
    ("torch", {"lr": None}, "lr is None; it must be a number with γ ≥ 0."),
    ("torch", {"lr": True}, "lr is True; it must be a number with γ ≥ 0."),
    ("torch", {"dampening": "x"}, "dampening is 'x'; it must be a number."),
    ("torch", {"dampening": float("nan")}, "dampening is nan; it must be a number."),
    ("adam", {"beta1": 1}, "beta1 is 1; it must be a number with 0 ≤ β₁ < 1."),
    ("adadelta", {"rho": 1.5}, "rho is 1.5; it must be a number with 0 ≤ ρ ≤ 1."),
    ("ema", {"momentum": 1}, "momentum is 1; it must be a number with 0 ≤ μ < 1."),
    ("torch", {"nesterov": 1}, "nesterov is 1; it must be True or False."),
    ("torch", {"nesterov": "yes"}, "nesterov is 'yes'; it must be True or False."),
    ("torch", {"decay": "l3"}, "Unknown decay 'l3'; known: after_momentum, after_step, corrected, "),
    ("torch", {"decay": Fraction(1, 10)}, "decay is 0.1; it must be one of l2, decoupled, "),
    ("torch", {"lr_max": 0}, "lr_max is 0; it must be a number with γ_max > 0."),
    ("torch", {"mometum": 0.9}, "Unknown hyperparameter 'mometum'; did you mean 'momentum'? Known: "),
    ("torch", {"lr": 1j}, "lr is 1j; it must be a number with γ ≥ 0."),
    ("torch", {"lr": [0.1]}, "lr is [0.1]; it must be a number with γ ≥ 0."),
    ("keras", {"dampening": 0.5}, "Unknown hyperparameter 'dampening'"),
    ("torch", {"decay": "corrected", "weight_decay": 1}, "decay='corrected' requires lr_max"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(name, given, message):
    with pytest.raises(InputError) as error:
        get(name).hyper(**given)
    assert str(error.value).startswith(message)


def test_a_batch_is_checked_element_by_element():
    h = get("torch").hyper(momentum=torch.tensor([0.0, 0.5]))
    assert h.momentum.shape == (2,)
    with pytest.raises(InputError, match="momentum is"):
        get("torch").hyper(momentum=torch.tensor([0.0, -0.5]))


def test_a_batch_partly_without_momentum_cannot_be_dampened():
    with pytest.raises(InputError, match="all 0 or none"):
        get("torch").hyper(momentum=torch.tensor([0.0, 0.5]), dampening=0.5)


def test_values_are_read_and_replaced_never_written():
    h = get("torch").hyper(lr=0.5)
    assert h.lr == h["lr"] == 0.5
    assert h.replace(lr=1).lr == 1
    with pytest.raises(AttributeError, match=r"use h.replace\(lr=1\)"):
        h.lr = 1
    with pytest.raises(AttributeError, match="this rule has no hyperparameter 'beta1'; it has lr, momentum"):
        h.beta1  # noqa: B018
    with pytest.raises(InputError):
        h.replace(lr=-1)


def test_betas_as_torch_writes_them():
    h = get("adam").hyper(betas=(0.5, 0.75))
    assert (h.beta1, h.beta2) == (0.5, 0.75)
    with pytest.raises(InputError, match="Unknown hyperparameter 'betas'"):
        get("torch").hyper(betas=(0.5, 0.75))


def test_betas_beside_one_of_them_are_refused():
    said = r"betas are \(0.9, 0.99\), and beta1 is also given as 0.5; give either betas, or beta1 and beta2"
    with pytest.raises(InputError, match=said):
        get("adam").hyper(betas=(0.9, 0.99), beta1=0.5)
    h = get("adam").hyper(beta1=0.5).replace(betas=(0.75, 0.5))
    assert (h.beta1, h.beta2) == (0.75, 0.5)
    with pytest.raises(InputError, match=said):
        h.replace(betas=(0.9, 0.99), beta1=0.5)


def test_map_leaves_options_alone():
    h = get("torch").hyper(lr=0.5, nesterov=True).map(Fraction)
    assert isinstance(h.lr, Fraction)
    assert h.nesterov is True
    assert h.lr_max is None


def test_every_default_is_in_its_domain():
    for x in HYPERS.values():
        x.check(x.default)
        assert x.meaning
        assert x.letter


def test_what_a_number_keeps_is_said_of_the_rule_that_has_it():
    def meaning(rule, name):
        return next(x.meaning for x in get(rule).hypers if x.name == name)

    assert "buffer" not in meaning("heavy_ball", "momentum")
    assert "largest gradient" in meaning("adamax", "beta2")
    assert "mean of gradients" in meaning("lion", "beta2")
    assert "mean of squared gradients" in meaning("adam", "beta2")
