"""Options under names of the author's own are read as what they do."""

from __future__ import annotations

import itertools

import pytest
import torch

from surefoot import check, identify
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED

ARITHMETIC = ["rule", "changed-lr", "changed-options", "groups-arithmetic"]


def notes(report):
    return " ".join(report.notes)


def made(name, formula, *, state=(), **options):
    """A class of an optimizer with these options; `formula(p, g, s, group)` is its step."""

    class Made(torch.optim.Optimizer):
        def __init__(self, params, **given):
            super().__init__(params, given)

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    s = self.state[p]
                    for key in state:
                        s.setdefault(key, torch.zeros_like(p))
                    s["t"] = s.get("t", 0) + 1
                    formula(p, p.grad, s, group)

    names = ", ".join(f"{n}={v!r}" for n, v in options.items())
    calls = ", ".join(f"{n}={n}" for n in options)
    space = {"Base": Made}
    head = f"class {name}(Base):\n    def __init__(self, params, {names}):"
    exec(f"{head}\n        super().__init__(params, {calls})", space)
    return space[name]


def sgd(lr, momentum, weight_decay, name="Own", decay=0.0, sign=1):
    def step(p, g, s, group):
        s["b"].mul_(group[momentum]).add_(g + sign * group[weight_decay] * p)
        p.sub_(group[lr] * s["b"])

    return made(name, step, state=["b"], **{lr: 0.01, momentum: 0.9, weight_decay: decay})


@pytest.mark.parametrize(
    ("lr", "momentum", "weight_decay"),
    [
        ("lr", "m", "reg"),
        ("eta", "beta", "l2"),
        ("alpha", "gamma", "lambda_"),
        ("lr", "rho", "decay"),
        ("lr", "alpha", "weight_decay"),
        ("speed", "stickiness", "pull"),
        ("gamma", "momentum", "weight_decay"),
    ],
)
def test_momentum_by_any_name(lr, momentum, weight_decay):
    optimizer = sgd(lr, momentum, weight_decay)
    for rule in ("torch", None):
        report = check(optimizer, rule, only=ARITHMETIC, sandbox=False)
        assert report.ok, str(report)
        assert report["rule"].outcome == PASSED
        assert report.rule == "torch"
    assert "is taken to be its" in notes(report) or "are taken to be its" in notes(report) or lr == "gamma"
    found = identify(optimizer, sandbox=False)
    assert found.rule.name == "torch"
    assert found["learning rate"] == "outside the buffer"
    assert found["dampening"] == "0"


def rmsprop(smoothing, name="RMSprop", epsilon_inside=False, wrong=False):
    def step(p, g, s, group):
        s["v"].mul_(group[smoothing]).add_((1 if wrong else 1 - group[smoothing]) * g * g)
        p.sub_(group["lr"] * g / (s["v"].sqrt() + group["eps"]))

    return made(name, step, state=["v"], **{"lr": 0.01, smoothing: 0.99, "eps": 1e-8})


@pytest.mark.parametrize(
    ("smoothing", "name"),
    [*itertools.product(["alpha", "rho", "beta", "decay", "smoothing", "keep"], ["RMSprop", "Own"])],
)
def test_rmsprop_by_any_name(smoothing, name):
    for rule in ("rmsprop", None):
        report = check(rmsprop(smoothing, name), rule, only=ARITHMETIC, sandbox=False)
        assert report.ok, str(report)
        assert report["rule"].outcome == PASSED
        assert report["changed-options"].outcome == PASSED
        assert report.rule == "rmsprop"


@pytest.mark.parametrize("names", ["alpha beta1 beta2 epsilon", "eta mu rho eps", "lr momentum decay delta"])
def test_adam_by_any_name(names):
    lr, first, second, eps = names.split()

    def step(p, g, s, group):
        a, b = group[first], group[second]
        s["m"].mul_(a).add_((1 - a) * g)
        s["v"].mul_(b).add_((1 - b) * g * g)
        m, v = s["m"] / (1 - a ** s["t"]), s["v"] / (1 - b ** s["t"])
        p.sub_(group[lr] * m / (v.sqrt() + group[eps]))

    adam = made("Adam", step, state=["m", "v"], **{lr: 1e-3, first: 0.9, second: 0.999, eps: 1e-8})
    report = check(adam, "adam", only=ARITHMETIC, sandbox=False)
    assert report.ok, str(report)
    assert report["changed-options"].outcome == PASSED


def test_a_wrong_one_is_held_to_what_its_names_usually_mean():
    for rule in ("rmsprop", None):
        report = check(rmsprop("rho", wrong=True), rule, only=["rule"], sandbox=False)
        assert report["rule"].outcome == FAILED
        assert "rho = " in report["rule"].script
        assert "rho is taken to be its alpha" in notes(report)
    report = check(sgd("eta", "beta", "l2", sign=-1), "torch", only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED
    assert "eta" in report["rule"].script


def test_what_a_rule_does_not_have_is_left_as_given():
    report = check(torch.optim.SGD, "optax", only=["rule", "long"], sandbox=False)
    assert report.ok
    assert "dampening is not one of its hyperparameters and stays as given" in notes(report)


def test_muon_is_no_plain_rule_by_leaving_its_own_options_alone():
    report = check(torch.optim.Muon, only=["rule"], sandbox=False)
    assert report["rule"].outcome == NOT_APPLICABLE

    class Muon(torch.optim.Optimizer):
        def __init__(self, params, lr=0.02, momentum=0.9, nesterov=True):
            super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        b = self.state[p].setdefault("b", torch.zeros_like(p))
                        b.lerp_(p.grad, 1 - group["momentum"])
                        u = p.grad.lerp(b, group["momentum"]) if group["nesterov"] else b
                        p.sub_(group["lr"] * u / (u.norm() + 1e-7))

    assert check(Muon, only=["rule"], sandbox=False)["rule"].outcome == NOT_APPLICABLE


def test_what_is_sgd_while_an_option_of_unclear_name_is_off_need_not_be_sgd():
    def step(p, g, s, group):
        s["m"].mul_(group["beta"]).add_((1 - group["beta"]) * g)
        s["v"].mul_(group["beta"]).add_((1 - group["beta"]) * g * g)
        p.sub_(group["lr"] * g if group["beta"] == 0 else group["lr"] * s["m"] / (1 + s["v"]))

    own = made("Balanced", step, state=["m", "v"], lr=0.1, beta=0.9)
    assert check(own, only=["rule"], sandbox=False)["rule"].outcome == NOT_APPLICABLE


def test_adamw_with_decay_in_the_gradient_denies_its_name():
    class AdamW(torch.optim.Adam):
        pass

    report = check(AdamW, only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED
    assert "Weight decay is added to the gradient" in report["rule"].diagnosis


def adam(lr, first, second, eps, swapped=False, name="Adam", **more):
    def step(p, g, s, group):
        a, b = (group[second], group[first]) if swapped else (group[first], group[second])
        s["m"].mul_(a).add_((1 - a) * g)
        s["v"].mul_(b).add_((1 - b) * g * g)
        m, v = s["m"] / (1 - a ** s["t"]), s["v"] / (1 - b ** s["t"])
        p.sub_(group[lr] * group.get("scale", 1) * m / (v.sqrt() + group[eps]))

    return made(name, step, state=["m", "v"], **{lr: 1e-3, first: 0.9, second: 0.999, eps: 1e-8}, **more)


@pytest.mark.parametrize("names", ["eta b1 b2 eps", "step_size rho1 rho2 delta", "lr beta_1 beta_2 eps"])
@pytest.mark.parametrize("rule", ["adam", None])
def test_swapped_betas_are_no_meaning_of_their_names(names, rule):
    report = check(adam(*names.split(), swapped=True), rule, only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED
    assert "The two betas are swapped" in report["rule"].diagnosis


@pytest.mark.parametrize("rule", ["torch", None])
def test_lr_and_momentum_swapped_are_no_meaning_either(rule):
    def step(p, g, s, group):
        s["b"].mul_(group["eta"]).add_(g)
        p.sub_(group["beta"] * s["b"])

    report = check(made("SGD", step, state=["b"], eta=0.01, beta=0.9), rule, only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED


def test_the_rest_of_the_names_is_judged_too():
    def step(p, g, s, group):
        p.sub_(group["lr"] * (g + 2 * group["lambda_"] * p))

    report = check(made("SGD", step, lr=0.1, lambda_=0.0), only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED
    assert "Weight decay is applied twice" in report["rule"].diagnosis


@pytest.mark.parametrize(("name", "default"), [("decay", 0.0), ("decay", 0.01), ("gamma", 0.0), ("rho", 0.0)])
@pytest.mark.parametrize("rule", ["torch", None])
def test_a_decay_of_the_learning_rate_is_no_momentum(name, default, rule):
    def step(p, g, s, group):
        p.sub_(group["lr"] / (1 + group[name] * (s["t"] - 1)) * g)

    report = check(made("SGD", step, lr=0.1, **{name: default}), rule, only=["rule"], sandbox=False)
    if default == 0 and (rule or name != "rho"):  # rho is Adadelta's, and could be anything
        assert report["rule"].outcome == PASSED
    assert "momentum" not in notes(report)


def test_two_rates_of_which_one_scales_the_other():  # Chainer's Adam
    report = check(adam("alpha", "beta1", "beta2", "eps", scale=1.0), "adam", only=["rule"], sandbox=False)
    assert report.ok, str(report)


def test_epsilon_as_the_learning_rate():  # Goodfellow, Bengio and Courville's
    report = check(adam("epsilon", "rho1", "rho2", "delta"), "adam", only=ARITHMETIC, sandbox=False)
    assert report.ok, str(report)
    assert "epsilon" in notes(report)


def test_a_wrong_momentum_sgd_is_judged_by_its_name():
    def step(p, g, s, group):
        s["b"].mul_(group["gamma"]).add_(g)
        p.add_(group["eta"] * s["b"])

    own = made("MomentumSGD", step, state=["b"], eta=0.01, gamma=0.9)
    report = check(own, only=["rule"], sandbox=False)
    assert report["rule"].outcome == FAILED
    assert "gamma is taken to be its momentum" in notes(report)


def fading(**options):
    def step(p, g, s, group):
        lr = group["lr"] / (1 + group["fade"] * s["t"]) + group.get("floor", 0.0)
        s["b"].mul_(group["momentum"]).add_(g)
        p.sub_(lr * s["b"])

    return made("SGD", step, state=["b"], lr=0.01, momentum=0.9, fade=0.0, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            "fade is not a hyperparameter of PyTorch's SGD; it was kept at 0.0, and its effect was not "
            "judged.",
        ),
        (
            {"floor": 0.0, "foreach": False},
            "fade and floor are not hyperparameters of PyTorch's SGD; they were kept at 0.0 and 0.0, "
            "and their effect was not judged.",
        ),
    ],
)
def test_numbers_that_no_rule_has_are_named(options, said):
    report = check(fading(**options), only=["rule"])
    assert report["rule"].outcome == PASSED
    assert report.notes[-1] == said


def test_what_a_rule_has_is_not_named():
    assert "hyperparameter" not in notes(check(torch.optim.SGD, only=["rule"]))
