"""Which rule is guessed: by a name and options that claim one, by behaviour, or none at all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from surefoot.check import check
from surefoot.check.arithmetic.guess import guess
from surefoot.check.known.variants import conventions
from surefoot.check.options.words import Words
from surefoot.check.protocol import Signature

SGD = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}


def unplayed(signature, words, given=None):
    """What a guess reads of a Recorder whose optimizer took no step."""
    return SimpleNamespace(
        patient=SimpleNamespace(signature=signature, given=given or {}), heard=words, telling=[]
    )


@pytest.mark.parametrize(
    ("name", "options", "rule"),
    [
        ("SGD", SGD, "torch"),
        ("MySGD", SGD, "torch"),
        ("SGD2", SGD, "torch"),
        ("SgdWithMomentum", SGD, "torch"),
        ("AccSGD", {**SGD, "kappa": 1000.0}, None),  # a number that the rule does not know
        ("SGDW", SGD, "torch(decay=decoupled)"),
        ("NAG", SGD, "torch(nesterov=True)"),
        ("NesterovSGD", SGD, "torch(nesterov=True)"),
        ("NesterovSGD", {**SGD, "nesterov": False}, "torch"),
        ("NesterovAcceleratedGradient", SGD, "torch(nesterov=True)"),
        ("SGDNesterovMomentum", SGD, "torch(nesterov=True)"),
        ("Nestrov", SGD, "torch(nesterov=True)"),  # as students spell it
        ("NesterovAdam", ADAM, None),
        ("StochasticGradientDescent", SGD, "torch"),
        ("AcceleratedSGD", {**SGD, "kappa": 1000.0}, None),
        ("KerasSGD", SGD, "keras"),
        ("ChainerSGD", SGD, "classical"),  # with another decay than Keras
        ("Adam", ADAM, "adam"),
        ("MyAdam", ADAM, "adam"),
        ("AdamW", ADAM, "adamw"),
        ("NAdam", {**ADAM, "momentum_decay": 0.004}, "nadam"),
        ("RAdam", ADAM, "radam"),
        ("AdamFromScratch", ADAM, "adam"),
        ("VanillaAdamOptimizer", ADAM, "adam"),
        ("myadam", ADAM, "adam"),
        ("AdamV2", ADAM, "adam"),
        ("AdamPort", ADAM, "adam"),
        ("AdamHW1", ADAM, "adam"),
        ("Adam_ex3", ADAM, "adam"),
        ("Ex3Adam", ADAM, "adam"),
        ("EX3Adam", ADAM, "adam"),
        ("EXAdam", ADAM, None),  # extended Adam, which is no exercise
        ("AdamTask", ADAM, "adam"),
        ("NewAdam", ADAM, "adam"),
        ("AdamClass", ADAM, "adam"),
        ("Adam_wrong", ADAM, "adam"),
        ("TorchAdam", ADAM, "adam"),
        ("KerasAdam", ADAM, "adam_hat"),  # with ε where Keras has it
        ("AdamTF", ADAM, "adam_hat"),
        ("OptaxAdamW", ADAM, "adamw"),
        ("SGDKeras", SGD, "keras"),
        ("MXNetMomentumSGD", SGD, "classical"),
        ("TFNesterov", SGD, "optax(nesterov=True)"),
        ("CautiousSGD", SGD, None),
        ("SGDSchedFree", SGD, None),
        ("Lookahead", SGD, None),  # no rule of its own, but a wrapper
        ("Adam8bit", ADAM, None),
        ("NewtonAdam", ADAM, None),  # which is not new
        ("LabeledAdam", ADAM, None),
        ("AdamS", ADAM, None),  # another algorithm, for all that its name says
        ("StableAdamW", ADAM, None),
        ("ASGD", {"lr": 0.1}, None),  # averaged SGD
        ("Optimizer", SGD, None),
    ],
)
def test_what_a_name_claims(name, options, rule):
    signature = Signature(name, options)
    found = guess(unplayed(signature, Words.of(signature, {"lr": 0.25}))).rule
    assert (found and found.name) == rule


def test_a_decay_that_is_taken_out_of_the_gradient_is_told():
    signature = Signature("SGD", {**SGD, "decoupled_weight_decay": False})
    given = {"decoupled_weight_decay": True}
    found = guess(unplayed(signature, Words.of(signature, given), given))
    assert found.rule.name == "torch(decay=decoupled)"
    assert "by its name and decoupled_weight_decay=True" in found.why


def test_only_rules_that_hear_every_option_are_conventions():
    words = Words.of(Signature("X", {"lr": 0.1, "momentum": 0.0, "dampening": 0.0}), {})
    assert {r.name.split("(")[0] for r in conventions(words)} == {"torch", "mlx"}


def test_an_option_of_another_kind_is_no_hyperparameter():
    words = Words.of(
        Signature("X", {"lr": 0.1, "dampening": False, "eps": (None, 1e-3), "nesterov": 0.5}), {}
    )
    assert set(words.hyper) == {"lr"}
    assert words.others == ("nesterov",)


def test_a_pair_called_beta_is_the_betas():
    words = Words.of(Signature("X", {"lr": 0.1, "beta": (0.9, 0.999)}), {})
    assert words.hyper == {"lr": "lr", "beta": "betas"}
    words = Words.of(Signature("X", {"lr": 0.1, "beta": (0.9, 0.999), "betas": (0.9, 0.999)}), {})
    assert set(words.hyper) == {"lr", "betas"}
    assert Words.of(Signature("X", {"lr": 0.1, "beta": 0.9}), {}).hyper["beta"] == "momentum"


def test_a_first_beta_alone_is_momentum():
    words = Words.of(Signature("X", {"lr": 0.1, "beta1": 0.9}), {})
    assert words.hyper == {"lr": "lr", "beta1": "momentum"}
    words = Words.of(Signature("X", {"lr": 0.1, "beta1": 0.9, "beta2": 0.99}), {})
    assert words.hyper["beta1"] == "beta1"


@pytest.mark.parametrize(("word", "rule"), [("keras", "keras"), ("ema", "ema"), ("sideways", "torch")])
def test_an_option_that_names_a_rule_claims_it(word, rule):
    signature = Signature("SGD", {**SGD, "convention": "torch"})
    found = guess(unplayed(signature, Words.of(signature, {}), {"convention": word}))
    assert found.rule.name == rule
    assert (f"by convention={word!r}" in found.why) == (rule == word)


class AdamMueller(torch.optim.Optimizer):
    """An Adam whose first mean is taken twice, which is no known mistake."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            (b1, b2), eps = group["betas"], group["eps"]
            for p in (p for p in group["params"] if p.grad is not None):
                s, g = self.state[p], p.grad
                s["t"] = t = s.get("t", 0) + 1
                s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
                s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
                m = b1 * s["m"] + (1 - b1) * g
                p.sub_(group["lr"] * m / (1 - b1**t) / ((s["v"] / (1 - b2**t)).sqrt() + eps))


def test_what_is_not_judged_is_told_with_the_rule_that_its_name_may_mean():
    report = check(AdamMueller, only=["rule", "steps"])
    assert report["rule"].outcome == "not applicable"
    assert report["rule"].note.endswith("by its name it may be Adam: --rule adam checks it against that.")
    assert "; the arithmetic was not judged (" in str(report)
    assert "not judged" not in str(check(AdamMueller, only=["steps"]))
    assert "the arithmetic was not judged" not in str(check(Mine, only=["rule", "steps"]))


class Mine(torch.optim.Optimizer):
    """Its name says nothing; its steps lead uphill."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for p in (p for group in self.param_groups for p in group["params"] if p.grad is not None):
            p.add_(p.grad, alpha=group_lr(self))


def group_lr(opt):
    return opt.param_groups[0]["lr"]


def test_steps_uphill_are_a_fault_whatever_the_class_is_called():
    verdict = check(Mine, only=["rule"])["rule"]
    assert verdict.outcome == "failed"
    assert "The step goes uphill" in verdict.diagnosis
    ascent = check(type("GradientAscent", (Mine,), {}), only=["rule"])["rule"]
    assert ascent.outcome == "not applicable"
