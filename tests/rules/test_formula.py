"""The formula printed is the formula computed: put the numbers into the letters and get the lines."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from matplotlib.mathtext import MathTextParser

from surefoot.errors import InputError
from surefoot.rules import DECAYS, RULES, get, rule
from surefoot.rules.formula import formulas, known
from surefoot.rules.names import latex_name

every_rule = pytest.mark.parametrize("r", RULES.values(), ids=lambda r: r.name)


def options(r):
    """The rule, and with each of its switches on."""
    yield {}
    yield from ({x.name: True} for x in r.hypers if x.choices == (False, True))


@every_rule
@pytest.mark.parametrize("decay", DECAYS)
def test_numbers_put_into_the_formula_give_the_lines(r, decay):
    for chosen in options(r):
        numbers = {
            "lr": 0.125,
            "weight_decay": 0.25,
            "decay": decay,
            "lr_max": 0.5,
            "eps": 0.125,
            "momentum": 0.75,
        }
        h = r.hyper(**{k: v for k, v in numbers.items() if k in {x.name for x in r.hypers}}, **chosen)
        w, s = 1.5, r.init(h, 1.5)
        for t, g in enumerate((1.0, -2.0, 0.5, -0.75, 2.0, 1.0, 0.25)):
            if t in (0, 6):  # the first gradient; RAdam's other case has begun
                values, lines, equations = known(r, h, w, g, s), r.lines(h, w, g, s), formulas(r, h, s)
                assert [x.name for x in lines] == [e.name for e in equations]
                for line, e in zip(lines, equations, strict=True):
                    right = e.right.subs({x: values[x.name] for x in e.right.free_symbols})
                    assert float(right) == pytest.approx(float(line.value), rel=1e-12, abs=1e-14)
            w, s = r.step(h, w, g, s)


@every_rule
def test_latex_can_be_set(r):
    parser = MathTextParser("path")
    for chosen in options(r):
        for e in formulas(r, r.hyper(weight_decay=0.5, **chosen)):
            if not e.right.has(sympy.Piecewise):  # matplotlib has no cases; MathJax has
                parser.parse(f"${latex_name(e.left.name)} = {e.latex()}$")
        assert r.latex(**chosen).count("&=") == len(r.text(**chosen).splitlines())


def test_values_given_are_put_in():
    text = get("torch").text(lr=0.5, momentum=Fraction(3, 4), weight_decay=0)
    assert text.splitlines() == [
        "gₜ = ∇f(wₜ₋₁)",
        "b₁ = g₁",
        "bₜ = 0.75 bₜ₋₁ + (1 − τ) gₜ",
        "wₜ = wₜ₋₁ − 0.5 bₜ",
    ]
    with pytest.raises(ValueError, match="lr is -1"):
        get("torch").text(lr=-1)
    with pytest.raises(ValueError, match="Unknown hyperparameter"):
        get("torch").text(lrr=1)
    with pytest.raises(ValueError, match="lr is 'fast'"):
        get("torch").text(lr="fast")


def test_betas_are_put_in_as_beta1_and_beta2():
    assert get("adam").text(betas=(0.5, 0.75)) == get("adam").text(beta1=0.5, beta2=0.75)
    with pytest.raises(InputError, match=r"betas are \(0.5, 0.75\), and beta1 is also given as 0.25"):
        get("adam").text(betas=(0.5, 0.75), beta1=0.25)
    with pytest.raises(InputError, match="betas must be two numbers"):
        get("adam").latex(betas=0.9)


@pytest.mark.parametrize("value", [float("inf"), sympy.Symbol("x")])
def test_only_finite_numbers_are_put_in(value):
    with pytest.raises(InputError, match=rf"lr is {value}; a formula requires finite numbers"):
        get("torch").text(lr=value)


def test_zeros_and_options_choose_the_lines():
    h = get("torch").hyper(lr=0.5, momentum=0.5)
    assert [e.name for e in formulas(get("torch"), h)] == ["momentum_buffer", "w"]
    assert [e.text() for e in formulas(get("torch"), h)] == ["μ bₜ₋₁ + gₜ", "wₜ₋₁ − γ bₜ"]
    assert [e.text() for e in formulas(get("torch"), h, {"momentum_buffer": None})] == ["gₜ", "wₜ₋₁ − γ bₜ"]
    assert [e.text() for e in formulas(get("torch"), get("torch").hyper())] == ["wₜ₋₁ − γ gₜ"]


def test_numbers_written_into_a_formula():
    r = get("keras")
    h, s = r.hyper(lr=0.5, momentum=0.75, nesterov=True), {"velocity": -8.0}
    values = known(r, h, 1.0, -3.0, s)
    v, u, w = formulas(r, h, s)
    assert v.text(lambda x: f"{values[x]:g}") == "0.75·(-8) − 0.5·(-3)"
    assert w.latex(lambda x: f"{values[x]:g}") == "1 + (-1.875)"
    assert u.left.name == "uₜ"


def test_a_rule_of_ones_own_is_printed():
    @rule
    def mine(w, g, speed=0, *, lr, my_rate=0.5):
        speed = my_rate * speed + g
        return w - lr * speed, speed

    assert mine.text(weight_decay=0).splitlines()[2:] == [
        "speedₜ = my_rate speedₜ₋₁ + gₜ",
        "wₜ = wₜ₋₁ − γ (my_rate speedₜ₋₁ + gₜ)",
    ]
    assert r"\mathrm{my\_rate}" in mine.latex()
