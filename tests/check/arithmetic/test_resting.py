"""What a class is held to that follows no rule: by its name, its library, by what it is at rest; or none."""

from __future__ import annotations

import math

import torch

from surefoot.check.arithmetic.examine import examine
from surefoot.check.choose import planned
from surefoot.check.naming.claimed import read_name
from surefoot.check.options.words import Words
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here


class Each(torch.optim.Optimizer):
    """A step for each parameter."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.move(p, p.grad, self.state[p], group)


class SgdLike(Each):
    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})


class CautiousMomentum(SgdLike):
    """Liang et al.'s: where a step disagrees with the gradient it is left out."""

    def move(self, p, g, state, group):
        state["b"] = b = group["momentum"] * state.get("b", torch.zeros_like(p)) + g
        p -= group["lr"] * b * (b * g > 0)


class Heavy(CautiousMomentum):
    """The same, by a name that tells nothing of it."""


class MeanLate(SgdLike):
    """A corrected mean, whose correction is a step late."""

    def move(self, p, g, state, group):
        mu, t = group["momentum"], state.get("t", 0)
        state["b"] = b = mu * state.get("b", torch.zeros_like(p)) + (1 - mu) * g
        p -= group["lr"] * b / (1 - mu ** max(1, t))
        state["t"] = t + 1


class Velocity(SgdLike):
    """Keras's, but with momentum w moves by half, and by no more than 1."""

    def move(self, p, g, state, group):
        state["v"] = v = group["momentum"] * state.get("v", torch.zeros_like(p)) - group["lr"] * g
        p += v if group["momentum"] == 0 else v.clamp(-2, 2) * 0.5


class KerasVelocity(Velocity):
    """The same by its library's name."""


class AdamLike(Each):
    def __init__(self, params, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay})

    def move(self, p, g, state, group):
        b1, b2, t = group["b1"], group["b2"], state.get("t", 0) + 1
        self.decay(p, group, t)
        state["m"] = m = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = v = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        state["t"] = t
        p -= group["lr"] / (1 - b1**t) * m / (self.root(v, 1 - b2**t) + group["eps"])

    def decay(self, p, group, t):
        p *= 1 - group["lr"] * group["weight_decay"]

    def root(self, v, c2):
        return (v / c2).sqrt()


class OptaxAdamW(AdamLike):
    """optax.adamw with its other options, which are off."""

    def __init__(
        self, params, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, weight_decay=0.0, nesterov=False
    ):
        super().__init__(params, lr, b1, b2, eps, weight_decay)
        for group in self.param_groups:
            group |= {"eps_root": eps_root, "nesterov": nesterov}

    def root(self, v, c2):
        return (v / c2 + self.param_groups[0]["eps_root"]).sqrt()


class AdamWDecayAfter(AdamLike):
    """AdamW, but its decay is divided by 1 − β₁ᵗ."""

    def decay(self, p, group, t):
        p *= 1 - group["lr"] * group["weight_decay"] / (1 - group["b1"] ** t)


class AdamWC(AdamWDecayAfter):
    """Another algorithm, for all that its name says."""


class AdamPort(AdamLike):
    """Adam, but its second correction is under no root."""

    def root(self, v, c2):
        return v.sqrt() / c2


class KerasAdam(AdamLike):
    """Keras's: ε is added to the root before its correction."""

    def __init__(self, params, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7, clipnorm=None):
        super().__init__(params, learning_rate, beta_1, beta_2, epsilon)
        for group in self.param_groups:
            for old, new in {"b1": "beta_1", "b2": "beta_2", "eps": "epsilon", "lr": "learning_rate"}.items():
                group[new] = group.pop(old)

    def move(self, p, g, state, group):
        b1, b2, t = group["beta_1"], group["beta_2"], state.get("t", 0) + 1
        state["m"] = m = b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g
        state["v"] = v = b2 * state.get("v", torch.zeros_like(p)) + (1 - b2) * g * g
        state["t"] = t
        rate = group["learning_rate"] * math.sqrt(1 - b2**t) / (1 - b1**t)
        p -= rate * m / (v.sqrt() + group["epsilon"])


class Adam(KerasAdam):
    """The same by a name that says no library."""


def held(optimizer, *clauses):
    """What it is held to, and the outcomes; no failure is explained, which takes its time."""
    found = examine(Here(load(optimizer)), planned(only=clauses or ("rule",)), explain=False)
    return found, {v.clause.id: v.outcome for v in found.verdicts}


def test_a_name_that_tells_another_method_is_not_held_to_sgd_by_its_options():
    found, outcomes = held(CautiousMomentum)
    assert outcomes == {"rule": "not applicable"}
    assert "its name suggests another method, Cautious" in found.why
    found, outcomes = held(Heavy)
    assert found.rule.name == "torch"
    assert outcomes == {"rule": "failed"}
    assert "If it is meant to be a different rule, use --rule file.py:NAME" in found.why


class Centralized(SgdLike):
    """The mean of a gradient is taken off it, of matrices."""

    def move(self, p, g, state, group):
        g = g - g.mean() if g.dim() > 1 else g
        state["b"] = b = group["momentum"] * state.get("b", torch.zeros_like(p)) + g
        p -= group["lr"] * b


def test_another_method_is_one_however_its_name_is_spelt():
    for name in ("SGDGC", "SGD_GC", "SGDWithGC", "GCSGD", "CentralizedSGD", "NormSGD"):
        _, outcomes = held(type(name, (Centralized,), {}), "rule", "dimensions")
        assert outcomes == {"rule": "passed", "dimensions": "differs"}, name


def test_code_that_is_no_convention_is_held_to_the_nearest():
    assert held(MeanLate)[0].rule.name == "ema_corrected"  # a mean, whose first step is whole
    assert held(Velocity)[0].rule.family == "keras"  # whose buffer it keeps
    assert held(KerasVelocity)[0].rule.name == "keras"


def test_adam_is_held_to_what_it_is_without_its_decay():
    found, outcomes = held(AdamWDecayAfter)
    assert found.rule.name == "adamw"
    assert outcomes == {"rule": "failed"}
    assert "since it follows that rule with all its options off" in found.why
    assert held(AdamWC)[0].rule is None


def test_a_port_is_held_to_the_rule_it_is_a_port_of():
    found, outcomes = held(AdamPort)
    assert found.rule.name == "adam"
    assert outcomes == {"rule": "failed"}
    found, outcomes = held(KerasAdam)
    assert found.rule.name == "adam_hat"
    assert outcomes == {"rule": "passed"}
    assert found.aside == "clipnorm was kept at None; its effect was not judged."
    found, outcomes = held(Adam)
    assert outcomes == {"rule": "differs"}  # as with --rule adam: its betas are read
    assert "beta_1" not in found.aside


def test_options_of_its_own_that_are_off_do_not_hide_a_rule():
    found, outcomes = held(OptaxAdamW)
    assert found.rule.name == "adamw"
    assert outcomes == {"rule": "passed"}
    assert "nesterov is not one of its hyperparameters and stays as given" in found.why
    assert "eps_root is not a hyperparameter of AdamW; it was kept at 0.0" in found.aside


def test_a_librarys_name_claims_the_form_that_it_is_known_to_have():
    words = Words.of(load(torch.optim.Adam).signature, {})
    for name, rule, whole in (
        ("KerasAdam", "adam_hat", True),
        ("PaddleAdam", "adam", True),
        ("MLXAdam", "adam", False),  # it corrects no bias
        ("OptaxRMSprop", "rmsprop_keras", True),
        ("PaddleRMSProp", "rmsprop_keras", True),
        ("OptaxAdagrad", "adagrad_under", True),
        ("PaddleAdagrad", "adagrad", True),
        ("KerasNadam", "nadam", False),  # by a schedule of its own
    ):
        read = read_name(name, words)
        assert read.rule is not None
        assert (read.rule.family, read.whole) == (rule, whole)
    assert read_name("Gluon", words).rule is None  # an optimizer of Muon's kin
    assert read_name("GluonSGD", words).rule is not None
