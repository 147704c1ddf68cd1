"""Expressions as a person would write them."""

from __future__ import annotations

import pytest
import sympy

from surefoot.rules.printing import latex_style, text_style

NAMES = {
    "w": "wₜ₋₁",
    "b": "bₜ₋₁",
    "d": "dₜ",
    "v": "vₜ",
    "mu": "μ",
    "lr": "γ",
    "eps": "ε",
    "beta": "β₁",
    "t": "t",
}
w, b, d, v, mu, lr, eps, beta, t = (sympy.Symbol(x, real=True) for x in NAMES.values())

CASES = [
    (mu * b + (1 - mu) * d, "μ bₜ₋₁ + (1 − μ) dₜ", r"\mu b_{t-1} + (1 - \mu) d_t"),
    (w - lr * (d + mu * b), "wₜ₋₁ − γ (μ bₜ₋₁ + dₜ)", r"w_{t-1} - \gamma (\mu b_{t-1} + d_t)"),
    (-lr * d + mu * b, "μ bₜ₋₁ − γ dₜ", r"\mu b_{t-1} - \gamma d_t"),
    (lr * d / (sympy.sqrt(v) + eps), "γ dₜ / (√vₜ + ε)", r"\frac{\gamma d_t}{\sqrt{v_t} + \varepsilon}"),
    (d / (1 - beta**t), "dₜ / (1 − β₁ᵗ)", r"\frac{d_t}{1 - \beta_1^{t}}"),
    (d**2, "dₜ²", "d_t^{2}"),
    ((mu * b) ** 2, "μ² bₜ₋₁²", r"\mu^{2} b_{t-1}^{2}"),
    ((d + b) ** 2, "(bₜ₋₁ + dₜ)²", r"(b_{t-1} + d_t)^{2}"),
    (sympy.sqrt(d + b), "√(bₜ₋₁ + dₜ)", r"\sqrt{b_{t-1} + d_t}"),
    (1 / d, "1 / dₜ", r"\frac{1}{d_t}"),
    (-d / 3, "−dₜ / 3", r"-\frac{d_t}{3}"),
    (d / 2, "0.5 dₜ", "0.5 d_t"),
    (1 - d, "1 − dₜ", "1 - d_t"),
    (t + 1, "t + 1", "t + 1"),
    (sympy.sign(d), "sign(dₜ)", r"\operatorname{sign}(d_t)"),
    (sympy.Max(mu * b, abs(d)), "max(μ bₜ₋₁, |dₜ|)", r"\max(\mu b_{t-1}, \left|d_t\right|)"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "text", "latex"), CASES)
def test_text_and_latex(expression, text, latex):
    assert text_style().print(expression) == text
    assert latex_style().print(expression) == latex


def test_cases():
    e = sympy.Piecewise((d, mu > 5), (1, True))
    assert text_style().print(e) == "dₜ if μ > 5, else 1"
    assert latex_style().print(e) == (
        r"\begin{cases} d_t & \text{if } \mu > 5 \\ 1 & \text{otherwise} \end{cases}"
    )


def test_numbers_put_in_keep_the_meaning():
    numbers = {"wₜ₋₁": "1", "γ": "0.5", "μ": "−2", "bₜ₋₁": "1/3", "dₜ": "4"}
    style = text_style(numbers.__getitem__)
    assert style.print(w - lr * (d + mu * b)) == "1 − 0.5·((−2)·(1/3) + 4)"
    assert style.print(b**2 / d) == "(1/3)² / 4"


@pytest.mark.parametrize(
    ("put_in", "text"),
    [
        ("4·10¹⁸", "(4·10¹⁸)² / (4·10¹⁸)"),
        ("10¹⁰", "(10¹⁰)² / 10¹⁰"),
        ("10⁻⁵", "(10⁻⁵)² / 10⁻⁵"),
        ("−4·10¹⁸", "(−4·10¹⁸)² / (−4·10¹⁸)"),
        ("(10¹⁰, 2)", "(10¹⁰, 2)² / (10¹⁰, 2)"),
        ("10", "10² / 10"),
    ],
)
def test_a_power_of_ten_as_a_base_and_below(put_in, text):
    style = text_style({"wₜ₋₁": put_in, "bₜ₋₁": put_in, "μ": "2.5·10⁻⁵"}.__getitem__)
    assert style.print(w**2 / b) == text
    assert style.print(mu * w) == (f"2.5·10⁻⁵·({put_in})" if put_in[0] == "−" else f"2.5·10⁻⁵·{put_in}")


def test_roots_and_powers_of_what_has_an_exponent_or_a_bar():
    put_in = {"bₜ₋₁": "10¹⁰", "dₜ": "4", "vₜ": "2.5·10⁻⁵"}.__getitem__
    assert [text_style(put_in).print(sympy.sqrt(x)) for x in (b, d, v)] == ["√(10¹⁰)", "√4", "√(2.5·10⁻⁵)"]
    put_in = {"bₜ₋₁": r"\tfrac{1}{3}", "dₜ": r"4 \cdot 10^{18}"}.__getitem__
    assert latex_style(put_in).print(b**2 * d) == r"(\tfrac{1}{3})^{2} \cdot 4 \cdot 10^{18}"
    assert latex_style(put_in).print(d**2) == r"(4 \cdot 10^{18})^{2}"
