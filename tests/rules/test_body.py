"""What the function of a rule of one's own may do, and what is said of the rest."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import mpmath
import pytest
import torch

from surefoot.errors import InputError
from surefoot.rules import convert, get, rule
from surefoot.rules.body import Body

TENTH = 0.1


def decimals():
    fifth = 0.2

    @rule
    def made(w, g, *, lr=1):
        return w - lr * (0.1 * g + (lambda x: 0.3 * x)(g) + TENTH * g + fifth * g)

    return made


def test_floats_in_a_rule_are_the_decimals_that_are_written():
    made = decimals()
    h = made.hyper()
    assert made.step(h, Fraction(1), Fraction(1), {})[0] == Fraction(3, 10)
    with mpmath.workdps(40):
        got = made.step(h, mpmath.mpf(1), mpmath.mpf(1), {})[0]
        assert abs(got - mpmath.mpf(3) / 10) < mpmath.mpf(10) ** -38
    assert made.step(h, 1.0, 1.0, {})[0] == pytest.approx(0.3)
    assert made.step(h, torch.tensor(1.0), torch.tensor(1.0), {})[0].item() == pytest.approx(0.3)
    assert made.text(weight_decay=0) == "gₜ = ∇f(wₜ₋₁)\nwₜ = wₜ₋₁ − 0.7 γ gₜ"
    assert convert(made, "torch", lr=1).hyper.lr == Fraction(7, 10)


def wrong(w, g, b=0, *, momentum=0.5):
    return w, b, g


def listed(w, g, b=0, *, momentum=0.5):
    return [w, b]


def nothing(w, g, b=0, *, momentum=0.5):
    w - g


def lone(w, g, *, momentum=0.5):
    return w, g


def half_power(w, g, v=0, *, momentum=0.5):
    return w - g / (g * g) ** 0.5, v


def half_yielded(w, g, *, momentum=0.5):
    yield "u", math.sqrt(g)
    return w


def of_torch(w, g, v=0, *, momentum=0.5):
    return w - torch.sqrt(g), v


def method(w, g, b=0, *, momentum=0.5):
    return w, b.mul(momentum)


def unready(w, g, b=None, *, momentum=0.5):
    return w, momentum * b + g


def misspelt(w, g, b=0, *, momentum=0.5):
    return w, momentun * b  # noqa: F821


def valueless(w, g, *, gamma):
    return w - gamma * g


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (wrong, "'wrong' returned a tuple of 3 values; it must return w, b, all new."),
        (listed, "'listed' returned a list of 2 values; it must return w, b, all new."),
        (nothing, "'nothing' returned nothing; it must return w, b, all new."),
        (lone, "'lone' returned a tuple of 2 values; it must return the new w alone."),
        (
            half_power,
            "turns fractions into a float, as v ** 0.5 and math.sqrt(v) do; take roots with sqrt of ",
        ),
        (half_yielded, "turns fractions into a float"),
        (of_torch, "(return w - torch.sqrt(g), v); take roots with sqrt of surefoot.rules.numbers, and"),
        (method, "'int' object has no attribute 'mul' in line "),
        (unready, "; b is None before the first gradient: test for None, or let it start at 0."),
        (misspelt, "(return w, momentun * b  # noqa: F821); define that name, or correct its spelling."),
        (valueless, "has no value for gamma; give one, as gamma=0.5, or write a default into the rule."),
    ],
)
def test_what_goes_wrong_in_a_rule_is_told_in_one_sentence(function, said):
    made = rule(function)
    h = made.hyper().map(Fraction)
    with pytest.raises(InputError) as caught:
        made.step(h, Fraction(1), Fraction(4), made.init(h, Fraction(1)))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"The rule {function.__name__!r} ")
    assert "\n" not in str(caught.value)


def test_floats_that_are_given_beside_fractions_are_nobodys_mistake():
    made = rule(lambda w, g, *, lr=0.5: w - lr * g, name="made")
    assert made.step(made.hyper(), Fraction(1), Fraction(1), {})[0] == 0.5


def test_what_compares_numbers_has_no_one_formula():
    @rule
    def upwards(w, g, *, lr=1):
        return w - lr * g if g > 0 else w

    with pytest.raises(InputError, match=r"a rule that compares w, g or a slot has no single formula\.$"):
        upwards.text()


def test_a_rule_that_divides_by_a_gradient_of_0_is_told_in_a_conversion():
    @rule
    def divides(w, g, *, lr=1):
        return w - lr * g / abs(g)

    with pytest.raises(InputError, match="'divides' or 'torch' divides by 0 if a gradient is 0; add a small"):
        convert(divides, "torch")


def test_a_callable_that_is_no_function_has_no_constants_to_read():
    assert Body("sum", sum, {}).on(Fraction(1)) is sum


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: rule("sgd"),
            "surefoot.rule makes a rule from a function, not from 'sgd'; surefoot.rules.get",
        ),
        (lambda: rule(get("torch")), "'torch' is already a rule"),
        (
            lambda: rule(slot={"b": "momentum_buffer"})(unready),
            "Unknown keyword 'slot' of the rule 'unready'; ",
        ),
        (lambda: rule(lambda g, w: w, name="x"), "The rule 'x' takes (g, w); w must come first, then its"),
        (lambda: rule(lambda w, g, lr=1: w, name="x"), "The rule 'x' takes lr before the *, where slots"),
        (lambda: rule(lambda w, g, *, k="a": w, name="x"), "The rule 'x' has the default 'a' for k; a hyper"),
        (
            lambda: rule(lambda w, g, b=[]: w, name="x"),
            "The rule 'x' starts its slot 'b' at []; a slot must start",
        ),
    ],
)
def test_what_makes_no_rule_is_told_when_it_is_defined(make, said):
    with warnings.catch_warnings(), pytest.raises(InputError) as caught:
        make()
    assert str(caught.value).startswith(said)


def test_a_function_that_lacks_the_decorator(tmp_path):
    (tmp_path / "bare.py").write_text("def mine(w, g, *, lr=1):\n    return w - lr * g\n")
    with pytest.raises(InputError, match=r"bare\.py is a function, not a rule; write @surefoot\.rule above"):
        get(f"{tmp_path}/bare.py:mine")
