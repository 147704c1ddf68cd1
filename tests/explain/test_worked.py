"""What is worked out: the numbers put in give the result, in every rule; the last line is the trace's w."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest

from surefoot.errors import InputError
from surefoot.explain import explain
from surefoot.explain.forms.latex_pen import LatexPen
from surefoot.explain.forms.numerals import Numerals
from surefoot.explain.forms.pen import Pen
from surefoot.explain.forms.written import write_line, write_news
from surefoot.rules import RULES, rule

OPTIONS = {"lr": 0.125, "momentum": 0.75, "weight_decay": 0.25, "beta1": 0.75, "beta2": 0.5, "eps": 0.125}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def evaluate(text: str) -> float:
    """The value of what was written, as Python would have it."""
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"**({m[0].translate(SUPERSCRIPTS)})", text)
    text = text.replace("·", "*").replace("−", "-").replace("^", "**")
    text = re.sub(r"√([\d.]+)", r"sqrt(\1)", text).replace("√", "sqrt")
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    names = {"sqrt": math.sqrt, "sign": lambda x: (x > 0) - (x < 0), "max": max, "abs": abs, "exp": math.exp}
    return float(eval(text, {"__builtins__": {}}, names))


def options_of(name: str) -> dict[str, object]:
    known = {x.name for x in RULES[name].hypers}
    return {k: v for k, v in OPTIONS.items() if k in known}


@pytest.mark.parametrize("name", [n for n in RULES if n != "radam"])  # its r is told in words
def test_the_numbers_put_in_give_the_result(name: str) -> None:
    explanation = explain(
        name, f="w**3 - 5*w + 1", at={"w": 0.75}, steps=3, digits=12, autograd=False, **options_of(name)
    )
    pen, checked = Pen(explanation.numerals), 0
    for step in explanation.worked[0].steps:
        for tensor in step.tensors:
            for line in tensor.lines:
                _, _, numbers, _ = write_line(line, tensor, explanation.problem, pen)
                if numbers:
                    assert evaluate(numbers) == pytest.approx(float(line.value), rel=1e-7, abs=1e-9), numbers
                    checked += 1
    assert checked >= 6


@pytest.mark.parametrize("start", ["1/3", "-2", "-1/7", "0.000001", "3e7"])
@pytest.mark.parametrize("exact", [False, True])
def test_numbers_are_bracketed_where_they_must_be(start: str, exact: bool) -> None:
    explanation = explain(
        "torch", f="w**3/3 - w**2", at={"w": start}, lr="1/3", steps=2, exact=exact, digits=9
    )
    pen = Pen(explanation.numerals)
    for step in explanation.worked[0].steps:
        for line in step.tensors[0].lines:
            numbers = write_line(line, step.tensors[0], explanation.problem, pen)[2].replace("…", "")
            assert evaluate(numbers) == pytest.approx(float(line.value), rel=1e-5, abs=1e-8), numbers


def test_brackets_in_latex() -> None:
    explanation = explain("adam", f="w**3", at={"w": 0.5}, lr=1e-5, steps=1, autograd=False)
    small = explain("signsgd", f="w**3 + w**2", at={"w": 1e-5}, lr=1e-5, steps=1, digits=3).latex()
    assert r"3 \cdot (10^{-5})^{2} + 2 \cdot (10^{-5})" in small
    assert r"3 \cdot 0.5^{2}" in explanation.latex()
    euler = explain("sgd", f="e*exp(w)", at={"e": 2, "w": 1}, lr=0.1, steps=1, autograd=False).latex()
    assert r"&= \exp\left(w\right) & &= \exp\left(1\right) & &= 2.7183" in euler
    assert r"&= e \exp\left(w\right) & &= 2 \cdot \exp\left(1\right) & &= 5.4366" in euler


def test_a_function_is_no_variable_of_its_name() -> None:
    said = explain("sgd", f="abs(w)*sign", at={"w": 2, "sign": 3}, lr=0.1, steps=1, autograd=False)
    assert "g₁ = sign·sign(w) = 3·sign(2) = 3.0000" in " ".join(str(said).split())
    said = explain("sgd", f="exp(1)*w**2", at={"w": 1}, lr=0.1, steps=1, autograd=False)
    assert "g₁ = 2·exp(1)·w = 2·exp(1)·1 = 5.4366" in " ".join(str(said).split())


def test_a_power_of_a_mean_that_is_off_is_gone() -> None:
    for name in ("adam", "nadam", "radam", "adamax"):
        said = str(explain(name, f="w**2", at={"w": 2}, beta1=0, lr=0.1, autograd=False))
        assert "0.0" + "ᵗ" not in said
        assert "0ᵗ" not in said
    assert "m̂₁ = m₁ " in str(explain("adam", f="w**2", at={"w": 2}, beta1=0, steps=1, autograd=False))


@pytest.mark.parametrize("name", RULES)
def test_the_last_line_is_the_traces_w(name: str) -> None:
    explanation = explain(name, f="sum(w**2)", at={"w": [1, -2]}, steps=3, autograd=False, **options_of(name))
    worked = explanation.worked[0]
    for step, moment in zip(worked.steps, worked.trace.steps, strict=True):
        line = step.tensors[0].lines[-1]
        assert line.name == "w"
        assert line.value == moment.w["w"]


def test_a_rule_of_ones_own_takes_part() -> None:
    @rule
    def halving(w, g, b=0, *, lr, momentum=0.5):  # type: ignore[no-untyped-def]
        """Halve it."""
        b = yield "b", momentum * b + g
        return w / 2 - lr * b

    text = explain(halving, f="w**2", at={"w": 4}, lr=0.5, steps=1, autograd=False).text()
    assert "Halve it   γ = 0.5   μ = 0.5" in text
    assert "w₁ = 0.5·w₀ − γ·b₁ = 0.5·4 − 0.5·8 = −2.0000" in " ".join(text.split())


def test_news_in_both_hands() -> None:
    explanation = explain(
        "sgd", at={"v_1": 1, "w": 1}, gradients=[{"w": 1}, {"v_1": 1, "w": 1}], lr=[0.1, "1/30"], momentum=0.5
    )
    news = [n for step in explanation.worked[0].steps for n in step.news]
    assert [write_news(n, Pen(Numerals())) for n in news] == [
        "v_1 has no gradient, so it and its state do not change",
        "γ = 1/30, was 0.1",
        "v_1 gets its first gradient",
        "b₂ = μ·b₁ + g₂, where step 1 had b₁ = g₁",
    ]
    assert [write_news(n, LatexPen(Numerals())) for n in news] == [
        r"v\_1 has no gradient, so it and its state do not change",
        r"$\gamma = \tfrac{1}{30}$, was $0.1$",
        r"v\_1 gets its first gradient",
        r"$b^{(2)} = \mu \, b^{(1)} + g^{(2)}$, where step 1 had $b^{(1)} = g^{(1)}$",
    ]


def test_floats_mean_their_decimals() -> None:
    trace = explain("sgd", f="w**2", at={"w": 0.1}, lr=1e-3, steps=1).traces[0]
    assert trace.steps[0].w["w"] == Fraction(1, 10) - Fraction(1, 1000) * Fraction(2, 10)


def test_long_runs_take_fifty_digits_and_exact_ones_stay_exact() -> None:
    start = {"w": [Fraction(k, 7) for k in range(1, 11)]}
    rounded = explain("sgd", f="mean(w**2)", at=start, lr=0.1, momentum=0.9, steps=50).traces[0]
    exact = explain("sgd", f="mean(w**2)", at=start, lr=0.1, momentum=0.9, steps=50, exact=True).traces[0]
    assert isinstance(exact.steps[-1].w["w"][0], Fraction)
    for x, y in zip(rounded.steps[-1].w["w"], exact.steps[-1].w["w"], strict=True):
        assert float(x) == pytest.approx(float(y), rel=1e-14)


def test_fractions_that_grow_beyond_reading_give_way_to_digits() -> None:
    trace = explain("sgd", f="w**4/4", at={"w": "1/3"}, lr=0.1, steps=25, autograd=False).traces[0]
    assert not isinstance(trace.steps[-1].w["w"], Fraction)
    assert 0.25 < float(trace.steps[-1].w["w"]) < 1 / 3


ROSENBROCK = {"f": "100*(y-x**2)**2 + (1-x)**2", "at": {"x": "-1.2", "y": 1}}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sgd", {"f": "(x-1)**10", "at": {"x": 2}, "lr": 0.01, "steps": 5}),  # f after the last step
        ("ema", {**ROSENBROCK, "lr": 0.01, "momentum": 0.99, "nesterov": True, "steps": 7}),
        ("adamax", {"f": "(x-1)**10", "at": {"x": 2}, "lr": [0.01, 0.001, 0.0005], "steps": 4}),
    ],
)
def test_where_f_alone_grows_beyond_reading_digits_do_too(name: str, given: dict[str, object]) -> None:
    e = explain(name, **given, autograd=False)
    assert not isinstance(e.worked[0].steps[-1].value, Fraction)
    with pytest.raises(InputError, match=r"20,000 digits; leave out exact for rounded numbers\.$"):
        explain(name, **given, exact=True, autograd=False)


def test_where_a_run_without_momentum_grows_beyond_reading_digits_do_too() -> None:
    e = explain("ema", **ROSENBROCK, lr=0.01, momentum=0.99, steps=7, autograd=False)
    assert "; f is 16.2104, without it 9.591·10⁹⁴⁰" in e.closing


def test_a_rule_that_branches_shows_the_branch_of_each_step():
    @rule(slots={"s": "slow", "t": "step"})
    def ahead(w, g, s=None, t=0, *, lr=0.5, k=2):
        """Looks ahead."""
        t = t + 1
        s = w if s is None else s
        w = w - lr * g
        if t % k == 0:
            w = s = s + (w - s) / 2
        return w, s, t

    page = str(explain(ahead, at={"w": 1}, gradients=[{"w": 1}, {"w": 1}], exact=True, autograd=False))
    lines = [re.sub(" +", " ", line.strip()) for line in page.splitlines()]
    assert "s₁ = w₀ = 1" in lines
    assert "w₁ = w₀ − γ·g₁ = 1 − 0.5·1 = 1/2" in lines
    (second,) = [line for line in lines if line.startswith("s₂ = ")]
    *_, numbers, result = second.split(" = ")
    assert evaluate(numbers) == evaluate(result) == 0.5


def test_elements_that_take_different_branches_have_numbers_alone():
    @rule
    def upwards(w, g, b=0, *, lr=0.5):
        """Takes in what is positive."""
        b = b + g if g > 0 else b
        return w - lr * b, b

    page = str(explain(upwards, at={"w": [1, 2]}, gradients=[{"w": [1, -1]}] * 2, autograd=False))
    said = "new: the elements of w take different branches of the rule, so no formula applies to all"
    assert page.count(said) == 1
    assert [line.split() for line in page.splitlines() if line.strip().startswith("b₁")] == [
        ["b₁", "=", "(1.0000,", "0.0000)"]
    ]
