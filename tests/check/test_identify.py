"""identify reads off what an optimizer is, and holds every rule against it."""

from __future__ import annotations

import html
import json
import re
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.check.identify import identify
from surefoot.check.identify.probes import ask
from surefoot.check.identify.readings import read
from surefoot.check.options.words import Words
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here
from surefoot.cli import main
from surefoot.errors import InputError

CORRECT = Path(__file__).parent / "correct"
MUTANTS = Path(__file__).parents[1] / "mutants"


class MeanAhead(torch.optim.Optimizer):
    """The mean of gradients, read one step ahead, as Muon does before it orthogonalises."""

    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr, mu = group["lr"], group["momentum"]
            for p in (p for p in group["params"] if p.grad is not None):
                b = mu * self.state[p].get("b", torch.zeros_like(p)) + (1 - mu) * p.grad
                self.state[p]["b"] = b
                p -= lr * (mu * b + (1 - mu) * p.grad)


@given(
    lr=st.sampled_from([0.1, 0.25, 0.5]),
    momentum=st.sampled_from([0.5, 0.75, 0.9]),
    dampening=st.sampled_from([0.0, 0.25, 0.5]),
    nesterov=st.booleans(),
    decay=st.sampled_from([0.0, 0.01, 0.1]),
)
@settings(max_examples=10)
def test_the_hyperparameters_of_torch_are_read_back(lr, momentum, dampening, nesterov, decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": decay, "nesterov": nesterov}
    if not nesterov:
        options["dampening"] = dampening
    found = identify(torch.optim.SGD, options=options)
    assert found.linear
    assert found.rule is not None
    assert found.rule.name == "torch"
    assert float(found["momentum"]) == pytest.approx(momentum)
    assert float(found["dampening"]) == pytest.approx(options.get("dampening", 0))
    assert found["Nesterov"] == ("yes" if nesterov else "no")
    assert found["learning rate"] == "outside the buffer"
    assert found["weight decay"] == "into the gradient, before momentum"
    assert found["w moved from outside"] == "no effect"


@pytest.mark.parametrize(
    ("subject", "options", "rule", "readings"),
    [
        (
            f"{CORRECT}/keras.py:KerasSGD",
            {"momentum": 0.9},
            "keras",
            {
                "learning rate": "inside the buffer",
                "weight decay": "decoupled: w shrinks by γλ before the step",
            },
        ),
        (f"{CORRECT}/ema.py:AverageSGD", {}, "ema", {"average": "yes", "buffer starts as": "0"}),
        (
            f"{MUTANTS}/dampened_first_step.py:SGD",
            {"momentum": 0.75, "dampening": 0.5},
            "mlx",
            {"dampening": "0.5", "buffer starts as": "0"},
        ),
        (
            f"{MUTANTS}/decay_decoupled_after.py:SGD",
            {"momentum": 0.75},
            "torch(decay=after_step)",
            {"weight decay": "w shrinks by γλ after the step"},
        ),
        ("torch.optim:SGD", {}, "torch", {"momentum": "0"}),
        ("torch.optim:Adam", {}, "adam", {}),
        ("torch.optim:AdamW", {}, "adamw", {}),
        ("torch.optim:RMSprop", {"momentum": 0.5}, "rmsprop", {}),
    ],
)
def test_conventions_are_named(subject, options, rule, readings):
    found = identify(subject, options=options, sandbox=False)
    assert found.rule is not None, str(found)
    assert found.rule.name == rule
    assert {k: found[k] for k in readings} == readings
    assert rule not in found.ruled_out


def test_a_mean_with_a_look_ahead_is_named_before_the_optimizer_that_has_it():
    found = identify(MeanAhead)
    assert [r.name for r in found.fits] == ["ema(nesterov=True)", "muon"]
    assert "follows mean of gradients with Nesterov (ema(nesterov=True))." in str(found)
    assert "Also fits: muon." in str(found)


def test_what_is_ruled_out_says_by_which_number():
    found = identify(torch.optim.SGD, options={"lr": 0.25, "momentum": 0.9})
    assert found.ruled_out["keras"] == (
        "with a gradient of 1, then half the lr from step 3, w would be −0.6775 after step 3, but is −0.57625"
    )
    assert found.ruled_out["adam"] == "twice the gradient would not move w twice as far"


def test_a_mistake_is_named():
    options = {"momentum": 0.9, "nesterov": True}
    found = identify(f"{MUTANTS}/nesterov_without_factor.py:SGD", options=options, sandbox=False)
    assert found.rule is None
    assert found.mistake == "SGD with a known mistake: Nesterov adds the buffer without its factor, momentum"
    assert found["Nesterov"] == "in an unknown way"
    assert "follows no known rule, but SGD with a known mistake" in str(found)


def test_the_impulse_response_is_drawn_beside_the_rules():
    found = identify(torch.optim.SGD, options={"lr": 0.5, "momentum": 0.75})
    assert found.impulse[:3] == (1.0, 0.75, 0.5625)
    figure = found.plot()
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].get_lines()}
    assert drawn["SGD"] == list(found.impulse)
    assert drawn["torch"] == pytest.approx(drawn["SGD"])
    assert {"keras", "ema"} <= set(drawn)


def test_what_cannot_be_driven_is_refused():
    with pytest.raises(InputError, match="needs a closure"):
        identify(torch.optim.LBFGS)
    with pytest.raises(InputError, match=r"Muon could not be run: .*2D"):
        identify(torch.optim.Muon)
    with pytest.raises(InputError, match="SGD could not be run with momentum='abc': TypeError: "):
        identify(torch.optim.SGD, options={"momentum": "abc"})


@pytest.mark.parametrize(
    ("lr", "said"),
    [
        (0.0, "lr is 0; it must be positive"),
        ("fast", "lr holds 'fast', which is not a number"),
        (1e40, r"lr is 1e\+40, too large for steps to be measured; use 1 or less"),
    ],
)
def test_an_lr_without_a_step_is_refused(lr, said):
    with pytest.raises(InputError, match=said):
        identify(torch.optim.SGD, options={"lr": lr})


def test_an_lr_may_be_a_tensor():
    assert identify(torch.optim.SGD, options={"lr": torch.tensor(0.25)}).fits[0].name == "torch"


def test_the_command(capsys, tmp_path):
    picture = tmp_path / "impulse.png"
    command = ["identify", "torch.optim:SGD", "--option", "momentum=0.9", "--plot", str(picture)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("torch.optim:SGD(lr=0.25, momentum=0.9) follows PyTorch's SGD (torch).\n")
    assert picture.stat().st_size > 10_000
    mutant = f"{MUTANTS}/nesterov_with_wrong_sign.py:SGD"
    assert main(["identify", mutant, "--option", "momentum=0.9", "--option", "nesterov=True", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["mistake"].endswith("Nesterov subtracts the buffer")
    assert main(["identify", "torch.optim:LBFGS"]) == 2
    assert main(["identify", "torch.optim:SDG"]) == 2
    assert "did you mean 'SGD'" in capsys.readouterr().err


def test_a_reading_that_was_not_read_is_one_sentence():
    found = identify(torch.optim.SGD)
    with pytest.raises(InputError, match=r"Unknown reading 'momentun'; did you mean 'momentum'\?"):
        found["momentun"]


def test_it_displays_itself():
    found = identify(torch.optim.SGD, options={"momentum": 0.9})
    assert "<table>" in found._repr_html_()
    assert repr(found) == "<Identification: SGD(lr=0.25, momentum=0.9) follows PyTorch's SGD (torch)>"


def test_a_notebook_is_told_all_that_a_prompt_is():
    found = replace(identify(torch.optim.SGD), unused=("weight_decay",))
    shown = html.unescape(re.sub(r"<.*?>", "\n", found._repr_html_()))
    said = [" ".join(line.split()) for line in str(found).replace("\n      ", " ").splitlines()]
    assert "It accepts weight_decay, which has no effect." in said
    assert any(line.startswith("Also fits: mlx") for line in said)
    words = " ".join(shown.split())
    assert [line for line in said if line not in words] == []
    assert re.findall("<td[^>]*>", found._repr_html_()) == ['<td style="text-align: left">'] * (
        3 * len(found.readings)
    )


HOMEWORK = """
import torch

class Base(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.9, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                self.one(p, p.grad, self.state[p], group["lr"], group["momentum"])

class HeavyBall(Base):
    def one(self, p, d, s, lr, mu):
        old, s["old"] = s.get("old", p.clone()), p.clone()
        p.add_(mu * (p - old) - lr * d)

class Corrected(Base):
    def one(self, p, d, s, lr, mu):
        s["t"] = s.get("t", 0) + 1
        s["b"] = mu * s.get("b", 0) + (1 - mu) * d
        p.sub_(lr * s["b"] / (1 - mu ** s["t"]))

class Lion(Base):
    def one(self, p, d, s, lr, mu):
        old = s.get("b", torch.zeros_like(p))
        s["b"] = 0.99 * old + 0.01 * d
        p.sub_(lr * torch.sign(mu * old + (1 - mu) * d))

class Uphill(Base):
    def one(self, p, d, s, lr, mu):
        p.add_(lr * d)

class Still(Base):
    def one(self, p, d, s, lr, mu):
        pass

class Clipped(Base):
    def one(self, p, d, s, lr, mu):
        p.sub_(lr * d.clamp(-1, 1))

class Slower(Base):
    def one(self, p, d, s, lr, mu):
        s["t"] = s.get("t", 0) + 1
        p.sub_(lr / s["t"] ** 0.5 * d)

class Adam(Base):
    def one(self, p, d, s, lr, mu):
        s["t"] = s.get("t", 0) + 1
        s["m"] = 0.9 * s.get("m", 0) + 0.1 * d
        s["v"] = 0.999 * s.get("v", 0) + 0.001 * d * d
        p.sub_(lr * s["m"] / (1 - 0.9 ** s["t"]) / (s["v"].sqrt() + 1e-8))

class Unfinished:
    def __init__(self, params, lr=0.1):
        self.params = list(params)

    def step(self):
        self.buffers.clear()
"""


@pytest.fixture
def homework(tmp_path, monkeypatch):
    (tmp_path / "exercises.py").write_text(HOMEWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "exercises", raising=False)


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("HeavyBall", "Polyak's heavy ball (heavy_ball). It accepts weight_decay, which has no effect."),
        ("Corrected", "(ema_corrected). It accepts weight_decay, which has no effect."),
        ("Lion", "follows Lion (lion). It accepts weight_decay, which has no effect."),
        ("Uphill", "SGD with a known mistake: the step goes uphill: the update is added, not subtracted. "
                   "It accepts momentum and weight_decay, which have no effect."),
        ("Still", "SGD with a known mistake: parameters never change."),
        ("Clipped", "follows none of the known rules."),
        ("Slower", "follows none of the known rules."),
        ("Adam", "Adam with a known mistake: the second moment's bias correction is left out."),
    ],
)  # fmt: skip
def test_homework_is_told_what_it_is_and_what_it_never_uses(name, headline, homework):
    found = identify(f"exercises.py:{name}", sandbox=False)
    said = " ".join(str(found).split("\n\n")[0].split())
    assert headline in said
    assert "nan" not in str(found)
    assert found.to_dict()["unused"] == list(found.unused)


def test_a_weight_decay_that_spares_vectors_is_read_off_a_matrix():
    found = identify(f"{CORRECT}/spares_vectors.py:SGD", options={"momentum": 0.5}, sandbox=False)
    assert found.rule is not None
    assert found.rule.name == "torch"
    assert not found.unused
    assert found["weight decay"] == "into the gradient, before momentum"
    assert found["weight decay reaches"] == "matrices only"


def test_what_is_odd_is_read_off(homework):
    assert identify("exercises.py:Clipped", sandbox=False)["size of the gradient"] == "bounded"
    slower = next(r for r in identify("exercises.py:Slower", sandbox=False).readings if r.what == "gain")
    assert (
        slower.because == "a gradient has weight 1 at step 1 and 0.707106781 at step 2 (of the learning rate)"
    )
    assert identify("exercises.py:Still", sandbox=False)["first move"] == "0"


def test_two_numbers_that_rule_out_are_seen_to_differ(homework):
    found = identify("exercises.py:Clipped", sandbox=False)
    assert found.ruled_out["adagrad"] == (
        "with a gradient of 1 at step 1, then 0, w would be −0.249999999975 after step 1, but is −0.25"
    )


def test_what_cannot_be_stepped_is_one_sentence(homework, capsys):
    assert main(["identify", "exercises.py:Unfinished"]) == 2
    assert "Unfinished could not be run: AttributeError" in capsys.readouterr().err
    assert main(["identify", "exercises.py:HeavyBall"]) == 1  # not with all its options


@pytest.mark.parametrize("name", ["NAdam", "RAdam", "Adagrad", "Adadelta", "Adamax"])
def test_the_family_of_adam_is_told_apart(name):
    found = identify(getattr(torch.optim, name))
    assert found.rule is not None, str(found)
    assert found.rule.name == name.lower()
    assert not found.unused
    assert found.rough == (name == "NAdam")  # which keeps a product in float32
    assert ("within float32 rounding" in str(found)) == found.rough


class Sgd(torch.optim.Optimizer):
    """torch's SGD with momentum, but for what `change` makes of a gradient."""

    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def change(self, w, g):
        return g

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    d = self.change(p, p.grad)
                    held = self.state[p].setdefault("buffer", torch.zeros_like(p))
                    held.mul_(group["momentum"]).add_(d)
                    p.sub_(group["lr"] * held)


class Absolute(Sgd):
    def change(self, w, g):
        return g.abs()


class Trusting(Sgd):
    def change(self, w, g):
        trust = w.norm() / g.norm()
        return g * (trust if w.norm() > 0 and g.norm() > 0 else 1)


def test_what_shows_only_under_gradients_of_both_signs_is_seen():
    assert identify(Sgd, options={"momentum": 0.9}).rule.name == "torch"
    for wrong in (Absolute, Trusting):
        found = identify(wrong, options={"momentum": 0.9})
        assert found.rule is None
        assert any("gradients of both signs, from w = 2" in why for why in found.ruled_out.values())


class EpsInside(torch.optim.Optimizer):
    """Adam, but with ε inside the root."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                s["t"] = t = s.get("t", 0) + 1
                m, v = (s.setdefault(k, torch.zeros_like(p)) for k in ("m", "v"))
                one, two = group["betas"]
                m.mul_(one).add_(p.grad, alpha=1 - one)
                v.mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                p.sub_(group["lr"] * (m / (1 - one**t)) / (v / (1 - two**t) + group["eps"]).sqrt())


def test_an_eps_in_the_wrong_place_is_seen():
    assert identify(EpsInside).rule is None
    assert identify(torch.optim.Adam).rule.name == "adam"


class AdamHat(torch.optim.Optimizer):
    """Adam as in Keras, and decoupled decay."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                s["t"] = t = s.get("t", 0) + 1
                m, v = (s.setdefault(k, torch.zeros_like(p)) for k in ("m", "v"))
                one, two = group["betas"]
                m.mul_(one).add_(p.grad, alpha=1 - one)
                v.mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                size = group["lr"] * (1 - two**t) ** 0.5 / (1 - one**t)
                p.sub_(size * m / (v.sqrt() + group["eps"]))


def test_the_form_of_another_library_is_told():
    rule = identify(AdamHat).rule
    assert rule.name == "adam_hat(decay=decoupled)"
    assert "as in Keras and TensorFlow" in rule.title


class SgdWithDecay(Sgd):
    def __init__(self, params, lr=0.1, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum)
        self.param_groups[0]["weight_decay"] = weight_decay


class Lars(SgdWithDecay):
    """Weight decay acts through the trust ratio, which is 1 where w or its gradient is 0."""

    def change(self, w, g):
        decay = self.param_groups[0]["weight_decay"]
        return g * (decay * w.norm() / g.norm() if decay and w.norm() > 0 and g.norm() > 0 else 1)


class SparesSingles(SgdWithDecay):
    """Weight decay of what has more than one element, and refuses a large one."""

    def __init__(self, params, lr=0.25, momentum=0.0, weight_decay=0.0):
        if weight_decay > 0.1:
            raise ValueError("weight_decay is above 0.1")
        super().__init__(params, lr, momentum, weight_decay)

    def change(self, w, g):
        return g + self.param_groups[0]["weight_decay"] * w * (w.numel() > 1)


@pytest.mark.slow
def test_a_decay_that_a_single_number_does_not_show_is_not_called_unused():
    found = identify(Lars, options={"momentum": 0.9})
    assert found.rule is None
    assert found["weight decay"] == "only with a gradient"
    found = identify(SparesSingles)
    assert (found.rule.name, found.unused) == ("torch", ())
    assert found["weight decay"] == "of larger tensors only"


class Decayed(torch.optim.Optimizer):
    """SGD with a decay of its own, `decay(p, lr, size)`."""

    def __init__(self, params, lr=0.25, momentum=0.9, weight_decay=0.0, decay=None):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.decay = decay

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    b = self.state[p].get("b")
                    b = self.state[p]["b"] = p.grad.clone() if b is None else group["momentum"] * b + p.grad
                    step = group["lr"] * b
                    p.add_(self.decay(p, group["lr"], group["weight_decay"])).sub_(step)


@pytest.mark.parametrize(
    ("decay", "said"),
    [
        (lambda p, lr, size: -lr * size * p, "decoupled: w shrinks by γλ before the step"),
        (lambda p, lr, size: lr * size * p, "w grows by γλ per step"),
        (lambda p, lr, size: -lr * size * p / 2, "w shrinks by 0.5 γλ per step"),
        (lambda p, lr, size: -lr * size * p.sign(), "in an unknown way"),
    ],
)
def test_a_decay_is_read_with_its_size_and_sign(decay, said):
    made = lambda params, lr=0.25, momentum=0.9, weight_decay=0.0: Decayed(  # noqa: E731
        params, lr, momentum, weight_decay, decay
    )
    assert identify(made, options={"weight_decay": 0.1})["weight decay"] == said


def test_a_rule_that_is_not_defined_here_is_ruled_out():
    found = identify(torch.optim.SGD, options={"momentum": 1.0})
    assert found.fits[0].name == "torch"
    assert "must be a number with 0 ≤ μ < 1" in found.ruled_out["ema"]


def made(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def decaying(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01)


def test_what_a_function_gives_its_optimizer_is_read_by_its_own_lr():
    found = identify(made)
    assert found.fits[0].name == "torch"
    assert found["momentum"] == "0.9"
    assert found["dampening"] == "0"
    assert [r.what for r in identify(decaying).readings] == ["first move", "weight decay"]
    assert identify(decaying).fits[0].name == "torch"


class Odd(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.75, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.move(p, p.grad, self.state[p], group)


class DecaysItsBuffer(Odd):
    def move(self, p, g, state, group):
        b = group["momentum"] * state.get("b", torch.zeros_like(p)) + g
        state["b"] = b + group["weight_decay"] * b
        p -= group["lr"] * state["b"]


class Masked(Odd):
    def move(self, p, g, state, group):
        state["b"] = b = group["momentum"] * state.get("b", torch.zeros_like(p)) + g
        p -= group["lr"] * b * (b * g > 0)


class Scheduled(Odd):
    def move(self, p, g, state, group):
        t = state["t"] = state.get("t", 0) + 1
        state["b"] = (
            group["momentum"] * state.get("b", torch.zeros_like(p)) - group["lr"] / (1 + t / 2**14) * g
        )
        p += state["b"]


class Second(Odd):
    def move(self, p, g, state, group):
        if state:
            p -= group["lr"] * g
        state["seen"] = 1


class Later(Odd):
    def move(self, p, g, state, group):
        state["v"] = v = state.get("v", 0) + g * g
        p -= group["lr"] * (g if "t" not in state else state["v"].sign() * v.sqrt() * v)
        state["t"] = 1


def test_no_reading_says_more_than_was_seen():
    def seen(optimizer):
        patient = Here(load(optimizer))
        words = Words.of(patient.signature, patient.given)
        answers = ask(patient, words, Fraction(1, 4))
        return {r.what: (r.value, r.because) for r in read(answers, 0.25, words)}

    assert seen(DecaysItsBuffer)["weight decay"][0] == "of the gradients, not of w"
    assert seen(Masked)["momentum"][0] == "0 for a single gradient"  # what it has is hidden
    scheduled = seen(Scheduled)
    assert scheduled["gain"][0] == "not constant"
    assert "dampening" not in scheduled
    assert seen(Second)["first move"] == ("0", "a first gradient of 1 never moves w; other gradients do")
    told = "twice the gradient moves w twice as far at step 1, but not later"
    assert seen(Later)["size of the gradient"] == ("matters, not linearly", told)
