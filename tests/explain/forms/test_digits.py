"""Each line follows from what is printed: the numbers put in give the result, to the digits that it has."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.explain import Explanation, explain
from surefoot.explain.forms.pen import Pen
from surefoot.explain.forms.written import write_line
from surefoot.rules import DECAYS, RULES

SQUARE = {"f": "x**2", "at": {"x": 1}}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def read(text: str) -> Any:
    """Work out what was printed as a student with a calculator would, knowing nothing but the text."""
    text = text.replace("·", "*").replace("−", "-").replace("^", "**")
    text = re.sub(r"(?<![\w⁻])\d+(\.\d+)?", r"N('\g<0>')", text)
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"**({m[0].translate(SUPERSCRIPTS)})", text)
    text = re.sub(r"√(N\('[^']*'\))", r"sqrt(\1)", text).replace("√", "sqrt")
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    number = r"-?N\('[^']*'\)(?:[*/]N\('[^']*'\))?(?:\*\*\([-\d]+\))?"
    text = re.sub(rf"(?<!\w)\({number}(?:, {number})+\)", lambda m: f"tensor{m[0]}", text)
    known = {n: _each(getattr(mpmath, n)) for n in ("sqrt", "sign", "exp", "log", "cos", "sin")}
    known |= {
        "abs": abs,
        "max": np.maximum,
        "N": mpmath.mpf,
        "tensor": lambda *xs: np.array(xs, dtype=object),
    }
    return eval(text, {"__builtins__": {}}, known)


def _each(function: Any) -> Any:
    """The function of each element: of √(1, 4) and of sign((1, 4)) alike."""
    vector = np.vectorize(function, otypes=[object])
    return lambda *xs: vector(np.array(xs, dtype=object) if len(xs) > 1 else xs[0])


def lines(e: Explanation) -> list[tuple[str, str]]:
    """What each line has put in, and its result."""
    pen = Pen(e.numerals)
    tensors = [t for worked in e.worked for step in worked.steps for t in step.tensors]
    written = [write_line(line, t, e.problem, pen) for t in tensors for line in t.lines]
    return [(numbers, result) for _, _, numbers, result in written if numbers]


def follows(numbers: str, result: str, scaled: int) -> bool:
    """Whether the result is what the numbers put in give, rounded to the digits that it has."""
    with mpmath.workdps(60):
        got, shown = (np.atleast_1d(np.array(read(x), dtype=object)) for x in (numbers, result))
        units = [_unit(text, scaled) for text in result.strip("()").split(", ")]
        return bool(np.all(abs(got - shown) <= np.array(units, dtype=object) * mpmath.mpf("0.5000001")))


def _unit(text: str, scaled: int) -> Any:
    """One unit of the last digit printed; before a power of ten, zeros at the end are left out."""
    if found := re.search("(?:^|·|−)10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)$", text):
        return mpmath.mpf(10) ** (int(found[1].translate(SUPERSCRIPTS)) - scaled)
    return mpmath.mpf(10) ** -len(text.partition(".")[2])


decimals = st.builds(
    lambda n, k, sign: sign * Fraction(n, 1000) * Fraction(10) ** k,
    st.integers(1, 9999), st.sampled_from([0] * 8 + [-9, -6, -3, 4, 6, 10, 15]), st.sampled_from([1, -1]),
)  # fmt: skip
FUNCTIONS = [
    "x**2", "x**4 - 3*x", "x**2/2 + 8*y**2", "100*(y - x**2)**2 + (1 - x)**2", "exp(x) + x**2",
    "log(x**2 + 1)*y", "x*y**2/3", "abs(x) + y**3", "cos(x)*y", "mean(v**3 - 2*v)", "sum(v)/3 + x**2",
    "sqrt(x**2 + y**2 + 1)", "1/(1 + x**2)",
]  # fmt: skip


@given(
    name=st.sampled_from([n for n in RULES if n != "radam"]),  # whose r is told in words
    f=st.sampled_from(FUNCTIONS),
    numbers=st.tuples(decimals, decimals, decimals, decimals),
    lr=st.sampled_from(["0.1", "1e-3", "1/3", "2.5e-5", "1e-9"]),
    momentum=st.sampled_from([0, "0.9", "1/7"]),
    weight_decay=st.sampled_from([0, 0, "0.1", "2e-6"]),
    decay=st.sampled_from(list(DECAYS)),
    digits=st.sampled_from([None, None, None, 2, 8]),
)
@settings(max_examples=25, deadline=None)
def test_every_line_follows_from_what_is_printed(
    name: str, f: str, numbers: Any, digits: Any, **options: Any
) -> None:
    x, y, *v = numbers
    at = {n: value for n, value in {"x": x, "y": y, "v": v}.items() if re.search(rf"\b{n}\b", f)}
    known = {h.name for h in RULES[name].hypers}
    options |= {"lr_max": "0.5", "beta1": options["momentum"]}
    options = {k: option for k, option in options.items() if k in known}
    try:
        e = explain(name, f=f, at=at, steps=2, digits=digits, autograd=False, **options)
    except InputError:  # it runs away, or f has no value there
        return
    for line in lines(e):
        assert follows(*line, e.numerals.scaled), line


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        (
            "adam",
            {"at": {"y": [1, 2]}, "gradients": [{"y": ["0.5", -1]}, {"y": ["0.5", 1]}], "lr": 0.1},
            ("(0.0004998, 0.001999) / (1 − 0.999²)", "(0.2500, 1.0000)"),
        ),
        ("adam", {"f": "x**4", "at": {"x": 10**6}}, ("0.999·0 + (1 − 0.999)·(4·10¹⁸)²", "1.6·10³⁴")),
        (
            "keras",
            {**SQUARE, "lr": 2.5e-5, "weight_decay": 0.1, "decay": "corrected", "lr_max": 2.5e-5},
            ("1 − (2.5·10⁻⁵)²·0.1·1 / (2.5·10⁻⁵)", "0.999998"),
        ),
        ("sgd", {"f": "x**2", "at": {"x": 10**10}, "lr": 1e-5}, ("10¹⁰ − 10⁻⁵·2·10¹⁰", "9.9998·10⁹")),
        ("sgd", {"f": "x**2", "at": {"x": 1}, "lr": 1e-12}, ("1 − 10⁻¹²·2", "0.9999999999980")),
        (
            "sgd",
            {"f": "x**2", "at": {"x": "1234567891.5"}, "digits": 12},
            ("2·(1.2345678915·10⁹)", "2.469135783·10⁹"),
        ),
        ("sgd", {"f": "x**2", "at": {"x": "0.00012345"}, "digits": 2}, ("2·(1.234·10⁻⁴)", "2.47·10⁻⁴")),
    ],
)  # fmt: skip
def test_lines(name: str, given: dict[str, Any], line: tuple[str, str]) -> None:
    e = explain(name, **given, autograd=False)
    assert line in lines(e)
    assert all(follows(*x, e.numerals.scaled) for x in lines(e))


def test_a_slope_without_a_variable_is_not_told_twice() -> None:
    e = explain("sgd", f="sum(x)/3", at={"x": [1, 2]}, steps=1, autograd=False)
    assert "g₁ = 1/3 = (0.33333, 0.33333)" in " ".join(e.text().split())
    assert r"g^{(1)} &= \frac{1}{3} & &  & &= (0.33333,\, 0.33333)" in e.latex()


def test_a_movement_beyond_the_most_digits_is_told() -> None:
    told = "A movement of step 1 is too small for 40 digits, the most written."
    assert told in explain("sgd", **SQUARE, lr="1e-52", steps=1, autograd=False).text()
    for other in ({"lr": "1e-30"}, {"lr": "1e-52", "digits": 4}, {"lr": "1e-52", "exact": True}):
        assert told not in explain("sgd", **SQUARE, steps=1, autograd=False, **other).text()


def test_the_start_is_printed_as_it_was_given() -> None:
    e = explain("sgd", "w*x**2", at={"w": "1.23456789", "x": "1/3"}, lr="1/3", steps=1, autograd=False)
    assert "w = 1.23456789   x = 1/3   f(w₀) = 0.1372" in e.text()
    assert r"x = \tfrac{1}{3}" in e.latex()
    several = explain("sgd", "sum(w)", at={"w": ["1/3", 0.123456789]}, steps=1, autograd=False)
    assert "w = (1/3, 0.123456789)" in several.text()


def test_a_movement_of_a_large_number_is_not_taken_to_show_by_its_zeros() -> None:
    start = 10**10
    e = explain("sgd", "w", at={"w": start}, lr=1, steps=1, autograd=False)
    assert "w₁ = w₀ − γ·g₁ = 10¹⁰ − 1·1 = 9.999999999·10⁹" in " ".join(e.text().split())


def test_with_exact_both_values_of_f_are_of_one_kind() -> None:
    e = explain("sgd", "w**2*1.23456789", at={"w": "1/3"}, lr="1/3", exact=True, steps=1, autograd=False)
    assert "f(w₁) = 0.00429533329541…, was 0.13717421\n" in e.text()
    assert r"$f(w^{(1)}) = 0.00429533329541\dots$, was $0.13717421$" in e.latex()
    short = explain("sgd", "w**2", at={"w": "1/3"}, lr="1/3", exact=True, steps=1, autograd=False)
    assert "f(w₁) = 1/81, was 1/9" in short.text()


def test_a_letter_and_its_index_are_one_formula_in_latex() -> None:
    e = explain("adam", "w**2", at={"w": 1}, autograd=False)
    assert r"What momentum did ($\beta_1$ = 0.9)" in e.latex()
    assert "$$" not in e.latex()
