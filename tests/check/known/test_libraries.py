"""Adaptive rules as other libraries have them: told as conventions, by whoever wrote them down."""

from __future__ import annotations

import pytest
import torch

from surefoot.check import check
from surefoot.check.known.libraries import elsewhere
from surefoot.check.naming import frameworks
from surefoot.check.verdict import DIFFERS, FAILED, PASSED
from surefoot.rules import RULES, get


class _Adaptive(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    s = self.state[p]
                    if not s:
                        s |= {
                            "t": 0,
                            "m": torch.zeros_like(p),
                            "v": torch.zeros_like(p),
                            "top": torch.zeros_like(p),
                        }
                    g = p.grad + group["weight_decay"] * p
                    beta1, beta2 = group["betas"]
                    beta2 = group.get("alpha", beta2)
                    s["t"] += 1
                    s["m"].mul_(beta1).add_(g, alpha=1 - beta1)
                    s["v"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
                    p.sub_(group["lr"] * self.way(g, s, beta1, beta2, group))
        return loss


class Adam(_Adaptive):
    """Its amsgrad is optax's: the largest of what is corrected."""

    def way(self, g, s, beta1, beta2, group):
        v = s["v"] / (1 - beta2 ** s["t"])
        if group["amsgrad"]:
            v = s["top"].copy_(torch.maximum(s["top"], v))
        return s["m"] / (1 - beta1 ** s["t"]) / (v.sqrt() + group["eps"])


class NAdam(_Adaptive):
    """Optax's: β₁ as it is."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)

    def way(self, g, s, beta1, beta2, group):
        ahead = beta1 * s["m"] / (1 - beta1 ** (s["t"] + 1)) + (1 - beta1) * g / (1 - beta1 ** s["t"])
        return ahead / ((s["v"] / (1 - beta2 ** s["t"])).sqrt() + group["eps"])


class RMSprop(_Adaptive):
    """TensorFlow's: ε under the root."""

    def __init__(self, params, lr=0.1, alpha=0.99, eps=1e-8):
        super().__init__(params, lr, (0.0, alpha), eps)
        for group in self.param_groups:
            group.setdefault("alpha", alpha)

    def way(self, g, s, beta1, beta2, group):
        return g / (s["v"] + group["eps"]).sqrt()


class AdamHat(_Adaptive):
    """Keras's: ε before the correction of the root."""

    def way(self, g, s, beta1, beta2, group):
        v = torch.maximum(s["top"], s["v"]) if group["amsgrad"] else s["v"]
        s["top"] = v.clone()
        corrected = (1 - beta2 ** s["t"]) ** 0.5 / (1 - beta1 ** s["t"])
        return corrected * s["m"] / (v.sqrt() + group["eps"])


AdamHat.__name__ = "CustomAdam"


class Adamax(_Adaptive):
    """Keras's: ε after the maximum."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas, eps)

    def way(self, g, s, beta1, beta2, group):
        s["top"] = torch.maximum(beta2 * s["top"], g.abs())
        return s["m"] / (1 - beta1 ** s["t"]) / (s["top"] + group["eps"])


class Adagrad(_Adaptive):
    """Keras's: ε under the root."""

    def __init__(self, params, lr=0.1, eps=1e-8):
        super().__init__(params, lr, eps=eps)

    def way(self, g, s, beta1, beta2, group):
        s["top"] += g * g
        return g / (s["top"] + group["eps"]).sqrt()


class _Buffered(torch.optim.Optimizer):
    """The learning rate inside the buffer."""

    start = 0.0

    def __init__(self, params, lr=0.1, alpha=0.99, eps=1e-8, momentum=0.0):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p]
                s.setdefault("v", torch.full_like(p, self.start))
                s.setdefault("b", torch.zeros_like(p))
                s["v"].mul_(group["alpha"]).addcmul_(p.grad, p.grad, value=1 - group["alpha"])
                s["b"].mul_(group["momentum"]).add_(group["lr"] * p.grad / (s["v"] + group["eps"]).sqrt())
                p.sub_(s["b"])


class RMSpropKeras(_Buffered):
    pass


class RMSpropTF(_Buffered):
    start = 1.0


RMSpropKeras.__name__ = RMSpropTF.__name__ = "RMSprop"


class SGD(_Adaptive):
    """As in a course's first exercise."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)

    def way(self, g, s, beta1, beta2, group):
        return g / s["t"] ** 0.5


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (AdamHat, "Adam with ε̂, added to the root before its correction, as in Keras and TensorFlow"),
        pytest.param(
            Adamax, "Adamax with ε added after the maximum, as in Keras and optax", marks=pytest.mark.slow
        ),
        (Adagrad, "Adagrad with ε under the root, as in Keras"),
        (RMSpropKeras, "RMSprop with ε under the root and lr inside the momentum buffer, as in Keras"),
        pytest.param(RMSpropTF, "RMSprop whose mean of squares starts at 1", marks=pytest.mark.slow),
        (SGD, "plain SGD whose learning rate is divided by √t"),
        pytest.param(
            Adam,
            "Adam that keeps the largest of the corrected second moments, as in optax",
            marks=pytest.mark.slow,
        ),
        (NAdam, "NAdam without a schedule for β₁, as in optax"),
        pytest.param(RMSprop, "RMSprop with ε under the root, as optax scales by it", marks=pytest.mark.slow),
    ],
)
def test_it_is_another_convention_and_no_fault(made, said):
    report = check(made, only=["arithmetic"])
    assert report.ok, str(report)
    assert report["rule"].outcome == DIFFERS
    assert said in report["rule"].note
    assert report["long"].outcome == PASSED


def test_a_rule_that_was_asked_for_is_told_which_form_it_has():
    report = check(RMSprop, "rmsprop", only=["rule"])
    assert report["rule"].outcome == DIFFERS
    assert "as optax scales by it" in report["rule"].note


def test_a_wrong_one_is_still_wrong():
    class Uphill(NAdam):
        def way(self, *given):
            return -super().way(*given)

    assert check(Uphill, "nadam", only=["rule"])["rule"].outcome == FAILED


def test_the_forms_take_over_where_decay_enters():
    assert {form.hyper().decay for form in elsewhere(RULES["adamw"])} == {"decoupled"}
    assert list(elsewhere(RULES["keras"])) == []


FORMS = [(library, *pair) for library, forms in frameworks._FORMS.items() for pair in forms.items()]


@pytest.mark.parametrize(("library", "rule", "form"), FORMS)
def test_the_form_that_a_library_has_is_one_that_is_known(library, rule, form):
    assert frameworks.as_there(get(rule), library).family == form
