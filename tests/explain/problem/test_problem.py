"""Problems: what an expression means, its gradient in three ways, and what is said without one."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.explain.problem.autograd import autograd
from surefoot.explain.problem.node import Node
from surefoot.explain.problem.parse import parse
from surefoot.trace.magnitude import Magnitude
from surefoot.trace.values import elements, map_value

GOLDEN = Path(__file__).parents[2] / "golden"
LECTURE = "mean(3*a**3 - b**2)"
AT = {"a": [2, 3], "b": [6, 4]}


def test_the_lectures_function_and_gradient() -> None:
    problem = parse(LECTURE, AT)
    assert problem.names == ("a", "b")
    assert problem.exact
    assert problem.value(problem.start) == Fraction(53, 2)
    assert problem.gradient(problem.start) == {"a": (18, Fraction(81, 2)), "b": (-6, -4)}
    assert autograd(problem, problem.start) == {"a": [18.0, 40.5], "b": [-6.0, -4.0]}


def test_a_decimal_is_the_exact_decimal() -> None:
    problem = parse("0.1*w**2 + 1e-3*w", {"w": 0.2})
    assert problem.value(problem.start) == Fraction(1, 10) * Fraction(1, 25) + Fraction(1, 5000)


@pytest.mark.parametrize(
    ("f", "at", "value"),
    [
        ("-x**2", {"x": 3}, -9),
        ("2**-1*x", {"x": 3}, Fraction(3, 2)),
        ("x/y/2", {"x": 3, "y": 4}, Fraction(3, 8)),
        ("+x - -x", {"x": 3}, 6),
        ("sum(W @ x)", {"W": [[1, 2], [3, 4]], "x": [1, 10]}, 64),
        ("sum(x @ W)", {"W": [[1, 2, 3], [4, 5, 6]], "x": [1, 10]}, 156 + 0),
        ("mean(A @ B)", {"A": [[1, 2]], "B": [[3, 5], [4, 6]]}, 14),
        ("dot(x, x) + x @ x", {"x": [1, 2]}, 10),
        ("x[1]*W[0, -1]", {"x": [1, 2], "W": [[3, 4]]}, 8),
        ("mean([[2, 0], [0, 4]] @ x - [1, 1])", {"x": [1, 2]}, 4),
        ("sum(x) + 0.5", {"x": []}, Fraction(1, 2)),
        ("abs(x) + sum(3) + mean(x)", {"x": -1}, 3),
        ("sum(s * x + x / s)", {"x": [1, 2], "s": 2}, Fraction(15, 2)),
        ("x**0 + 0*x", {"x": 0}, 1),
        ("x**(1/1) + x**(2-1)", {"x": 7}, 14),
    ],
)
def test_values_by_hand(f: str, at: dict[str, Any], value: Fraction) -> None:
    problem = parse(f, at)
    assert problem.value(problem.start) == value
    got = {name: list(elements(g)) for name, g in problem.gradient(problem.start).items()}
    torch_has = autograd(problem, problem.start)
    for name, gradient in got.items():
        assert gradient == pytest.approx(np.array(torch_has[name]).ravel().tolist())


def expressions(depth: int) -> st.SearchStrategy[str]:
    """Expressions whose value has shape (2,) or (); products and sums of names, numbers and functions."""
    leaf = st.sampled_from(["a", "b", "s", "a[0]", "2", "0.5", "[1, 0.25]"])
    if not depth:
        return leaf
    inner = expressions(depth - 1)
    return st.one_of(
        leaf,
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "3", "-1", "0.5", "1.5", "s"])),
        st.builds(
            "{}({})".format,
            st.sampled_from(["exp", "log", "sin", "cos", "sqrt", "abs", "mean", "sum"]),
            inner,
        ),
        st.builds("(-{})".format, inner),
        st.builds("sum(W @ ({} + 0*a))".format, inner),
    )


numbers = st.integers(-8, 12).map(lambda n: Fraction(n, 4))


@given(
    expressions(3),
    st.lists(numbers, min_size=2, max_size=2),
    st.lists(numbers, min_size=2, max_size=2),
    numbers,
)
def test_three_ways_to_a_gradient_agree(f: str, a: list[Fraction], b: list[Fraction], s: Fraction) -> None:
    # `gradient` compares sympy with dual numbers itself, and raises AssertionError if they part
    text = f"mean({f}) + sum(a + b + s) + sum(W)"
    problem = parse(text, {"a": a, "b": b, "s": s, "W": [[1, 2], [0, -1]]})
    try:
        got = problem.gradient(problem.start, float)
        value = problem.value(problem.start, float)
    except InputError:
        assume(False)
    flat = [x for name in problem.names for x in elements(got[name])]
    assume(all(abs(x) < 1e6 for x in [*flat, value]))
    torch_has = autograd(problem, problem.start)
    other = [x for name in problem.names for x in np.array(torch_has[name]).ravel()]
    assert flat == pytest.approx(other, rel=1e-6, abs=1e-6)
    if problem.exact:
        exact = problem.gradient(problem.start)
        assert [float(x) for name in problem.names for x in elements(exact[name])] == flat


@given(expressions(2), st.lists(numbers, min_size=2, max_size=2), numbers)
def test_a_grid_has_the_values_of_its_points(f: str, a: list[Fraction], s: Fraction) -> None:
    problem = parse(
        f"mean({f}) + sum(a) + s + sum(b)",
        {"a": a, "s": s, "b": [1, 2]} | ({"W": [[1, 2], [3, 4]]} if "W" in f else {}),
    )
    try:
        value = problem.value(problem.start, float)
    except InputError:
        assume(False)
    on_grid = problem.on_grid(
        {name: map_value(lambda x: np.full((2, 3), float(x)), v) for name, v in problem.start.items()}
    )
    assert on_grid.shape == (2, 3)
    assert on_grid == pytest.approx(np.full((2, 3), value), rel=1e-9, abs=1e-9)


def test_a_wrong_derivative_is_noticed() -> None:
    problem = parse("x**2", {"x": 3})
    problem.slope_trees["x"][0] = Node("number", value=Fraction(7))
    with pytest.raises(AssertionError, match=r"∂f/∂x\[0\] of f = x\*\*2: sympy gives 7, dual numbers 6"):
        problem.gradient(problem.start)


def test_fifty_digits_where_there_is_no_exact_value() -> None:
    problem = parse("exp(x)", {"x": 1})
    assert not problem.exact
    with mpmath.workdps(50):
        got = problem.gradient(problem.start, lambda q: mpmath.mpf(q.numerator) / q.denominator)["x"]
        assert abs(got - mpmath.e) < mpmath.mpf(10) ** -49
    assert problem.gradient(problem.start, float)["x"] == math.e


@pytest.mark.parametrize(
    ("f", "exact"),
    [("x**-2", True), ("x**(4/2)", True), ("x**0.5", False), ("2**x", False), ("sqrt(4)*x", False)],
)
def test_exact_says_whether_fractions_suffice(f: str, exact: bool) -> None:
    assert parse(f, {"x": 1}).exact is exact


def test_numbers_that_carry_a_bound_go_through_too() -> None:
    problem = parse("mean(3*a**3 - b**2)", AT)
    gradient = problem.gradient(problem.start, Magnitude.of)
    assert [g.value for g in gradient["a"]] == [18.0, 40.5]


def test_abs_at_zero_has_slope_zero_as_in_torch() -> None:
    problem = parse("abs(x)", {"x": 0})
    assert problem.gradient(problem.start) == {"x": 0}
    assert autograd(problem, problem.start) == {"x": 0.0}


def test_the_hessian_of_a_quadratic_and_of_nothing_else() -> None:
    assert parse("mean((a - b)**2)", {"a": [1, 2], "b": [3, 4]}).hessian() == (
        (1, 0, -1, 0),
        (0, 1, 0, -1),
        (-1, 0, 1, 0),
        (0, -1, 0, 1),
    )
    assert parse("x**3", {"x": 1}).hessian() is None
    assert parse("abs(x)*x", {"x": 1}).hessian() is None
    assert parse("exp(x)", {"x": 1}).hessian() is None
    assert parse("1/x", {"x": 1}).hessian() is None
    assert parse("(x + y)**900", {"x": 1, "y": 1}).hessian() is None
    assert parse("abs(-3)*x**2/2**3 + (x - 1)**1 + x**0 + sqrt(x)**0*0", {"x": 1}).hessian() is None
    assert parse("abs(-3)*x**2/2**3 + (x - 1)**1 + 0*x*x*x - 5", {"x": 1}).hessian() == ((Fraction(3, 4),),)


@given(expressions(2), st.lists(numbers, min_size=2, max_size=2), numbers)
def test_where_there_is_a_hessian_the_gradient_follows_it(f: str, a: list[Fraction], s: Fraction) -> None:
    at = {"a": a, "b": [1, 2], "s": s, "W": [[1, 2], [3, 4]]}
    problem = parse(f"mean({f}) + dot(a, b)*2 + s + sum(W)", at)
    hessian = problem.hessian()
    assume(hessian is not None)
    assert hessian is not None
    here = problem.start
    there = {name: map_value(lambda x: 3 - 2 * x, value) for name, value in here.items()}
    flat = [[x for name in problem.names for x in elements(p[name])] for p in (here, there)]
    slopes = [
        [x for name in problem.names for x in elements(problem.gradient(p)[name])] for p in (here, there)
    ]
    moved = [y - x for x, y in zip(*flat, strict=True)]
    follows = [sum(h * d for h, d in zip(row, moved, strict=True)) for row in hessian]
    assert [y - x for x, y in zip(*slopes, strict=True)] == follows


LATEX = [
    (LECTURE, AT, r"\frac{1}{2} \sum_{i=1}^{2} \left(3 a_{i}^{3} - b_{i}^{2}\right)"),
    (
        "(1-x)**2 + 100*(y - x**2)**2",
        {"x": 0, "y": 0},
        r"\left(1 - x\right)^{2} + 100 \left(y - x^{2}\right)^{2}",
    ),
    ("mean((W@x)**2)", {"W": [[1, 2]], "x": [1, 2]}, r"\sum_{i=1}^{1} \left(W x\right)_{i}^{2}"),
    ("sum(W)", {"W": [[1, 2]]}, r"\sum_{i=1}^{1} \sum_{j=1}^{2} W_{i j}"),
    ("dot(x, x)*1e-3", {"x": [1, 2]}, r"x^{\top} x \cdot 10^{-3}"),
    ("(-x)**2*(-x)", {"x": 1}, r"\left(-x\right)^{2} \left(-x\right)"),
    ("alpha*sqrt(exp(x1)/2)*3", {"alpha": 1, "x1": 1}, r"\alpha \sqrt{\frac{e^{x_{1}}}{2}} \cdot 3"),
    ("sum(x - sum(x))", {"x": [1, 2]}, r"\sum_{i=1}^{2} \left(x_{i} - \sum_{j=1}^{2} x_{j}\right)"),
    ("abs(x)*log(x)", {"x": 1}, r"\left|x\right| \log\left(x\right)"),
    ("[1, 2] @ x", {"x": [1, 2]}, r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}^{\top} x"),
    (
        "2*(a+b)[0] + (a-b)[1]**2",
        {"a": [1, 2], "b": [2, 1]},
        r"2 \left(a_{1} + b_{1}\right) + \left(a_{2} - b_{2}\right)^{2}",
    ),
    ("sum(x)*sum(x)", {"x": [1, 2]}, r"\left(\sum_{i=1}^{2} x_{i}\right) \sum_{i=1}^{2} x_{i}"),
    ("sum(i*x)", {"x": [1, 2], "i": 3}, r"\sum_{j=1}^{2} i x_{j}"),
    ("e*exp(w)", {"e": 2, "w": 1}, r"e \exp\left(w\right)"),
]


@pytest.mark.parametrize(("f", "at", "latex"), LATEX)
def test_latex(f: str, at: dict[str, Any], latex: str) -> None:
    assert parse(f, at).latex() == latex


def test_gradients_as_formulas() -> None:
    problem = parse(LECTURE, AT)
    assert problem.gradient_text() == {"a": "∂f/∂a = 9*a**2/2", "b": "∂f/∂b = -b"}
    assert problem.gradient_latex()["a"] == r"\frac{\partial f}{\partial a} = \frac{9 a^{2}}{2}"
    uneven = parse("x[0]**2 + 3*x[1]", {"x": [1, 2]})
    assert uneven.gradient_text() == {"x": "∂f/∂x[0] = 2*x[0], ∂f/∂x[1] = 3"}
    assert uneven.gradient_latex()["x"] == (
        r"\frac{\partial f}{\partial x_{1}} = 2 x_{1}, \quad \frac{\partial f}{\partial x_{2}} = 3"
    )
    crossed = parse("dot(a, b) + a[0]*b[1]", {"a": [1, 2], "b": [3, 4]})
    assert crossed.gradient_text()["a"] == "∂f/∂a[0] = b[0] + b[1], ∂f/∂a[1] = b[1]"
    assert parse("sum(x)**2", {"x": list(range(9))}).gradient_text()["x"].endswith(", …")


def test_eulers_number_is_no_variable_named_e() -> None:
    problem = parse("E*exp(1) + E**2", {"E": 2})
    assert problem.gradient_text() == {"E": "∂f/∂E = 2*E + exp(1)"}
    problem = parse("e*exp(w) + exp(1)*e", {"e": 2, "w": 1})
    assert problem.gradient_text()["e"] == "∂f/∂e = exp(w) + exp(1)"
    assert problem.gradient_latex()["e"] == (r"\frac{\partial f}{\partial e} = \exp(1) + \exp\left(w\right)")
    assert parse("exp(1)*w", {"w": 1}).gradient_latex()["w"] == r"\frac{\partial f}{\partial w} = e"


def test_numbers_in_latex_stand_for_whole_names() -> None:
    problem = parse("alpha*w1**2*exp(loss)", {"alpha": 2, "w1": 3, "loss": 1})
    written = {"alpha": "2", "w1": "(-3)", "loss": "(10^{-5})"}
    assert problem.numbers_latex("w1", written) == r"2 \cdot 2 \cdot (-3) \cdot e^{(10^{-5})}"
    assert problem.numbers_latex("alpha", written) == r"(-3)^{2} \cdot e^{(10^{-5})}"
    assert problem.gradient_latex()["loss"].endswith(r"= \alpha \mathit{w1}^{2} e^{\mathrm{loss}}")


def test_what_is_too_small_is_0_and_too_large_refused() -> None:
    def fine(q: Fraction) -> Any:
        return mpmath.mpf(q.numerator) / q.denominator

    with mpmath.workdps(50):
        for f in ("exp(-w**2)", "exp(-w)**1000", "exp(-w)*exp(-w)"):
            problem = parse(f, {"w": 900_000})
            assert problem.value(problem.start, fine) == 0
            assert problem.gradient(problem.start, fine) == {"w": 0}
        for f in ("exp(w**2)", "exp(w)**1000", "exp(w)*exp(w)", "exp(w)/exp(-w)"):
            problem = parse(f, {"w": 900_000})
            with pytest.raises(InputError, match="cannot be computed: it overflows"):
                problem.value(problem.start, fine)
        problem = parse("sin(exp(w))", {"w": 900_000})
        with pytest.raises(InputError, match="sin of a number beyond 10\\^20,000"):
            problem.value(problem.start, fine)


def test_what_cancels_takes_more_digits() -> None:
    def fine(q: Fraction) -> Any:
        return mpmath.mpf(q.numerator) / q.denominator

    with mpmath.workdps(50):
        for f, value, slope in (
            ("(w+1)**2 - (w-1)**2", 4 * mpmath.mpf(10) ** 200, 4),
            ("(w+1)**3 - (w-1)**3 - 6*w**2", 2, 0),
            ("(w + 1e300 - 1e300)/1e200", 1, mpmath.mpf(10) ** -200),
        ):
            problem = parse(f, {"w": 1e200})
            assert problem.value(problem.start, fine) == value
            assert abs(problem.gradient(problem.start, fine)["w"] - slope) < 1e-40


def test_corners_are_named() -> None:
    problem = parse("abs(w) + sum(abs(v - [1, 2])) + abs(0) + abs(w - 3)", {"w": 0, "v": [5, 2]})
    assert [x.text for x in problem.kinks(problem.start, Fraction)] == ["abs(w)", "abs(v - [1, 2])"]
    assert problem.kinks({"w": Fraction(1), "v": (Fraction(5), Fraction(3))}, Fraction) == []


@pytest.mark.parametrize("f", ["(-2)**w", "log(-1)*w", "(-1)**0.5*w", "sqrt(-2)*w"])
def test_a_derivative_that_is_not_real_is_said(f: str) -> None:
    problem = parse(f, {"w": 2})
    with pytest.raises(InputError, match="is not real: f has a power, root or logarithm of a negative"):
        problem.gradient(problem.start, float)


BAD: list[tuple[str, dict[str, Any]]] = [
    ("3*a**3 - * b", {"a": 1, "b": 1}),
    ("3*a**3 - ", {"a": 1}),
    ("2 * é + ä(3)", {"é": 1}),
    ("mean(alhpa)", {"alpha": 1}),
    ("mean(w)", {"alpha": 1}),
    ("maen(a)", {"a": 1}),
    ("mean", {"a": 1}),
    ("a(2)", {"a": 1}),
    ("a + b", {"a": [1, 2], "b": [1, 2, 3]}),
    ("sum(a @ b)", {"a": [1, 2], "b": [1, 2, 3]}),
    ("dot(a, 2)", {"a": [1, 2]}),
    ("a^2", {"a": 1}),
    ("a**9**9", {"a": 1}),
    ("2**sqrt(2)*a", {"a": 1}),
    ("exp(a, a)", {"a": 1}),
    ("2**[1, 2] @ a", {"a": [1, 2]}),
    ("a[b]", {"a": [1], "b": 1}),
    ("a[0]", {"a": [[1]]}),
    ("a[0]", {"a": 1}),
    ("a[1]", {"a": [1]}),
    ("a if a else 1", {"a": 1}),
    ("__import__('os').system('ls')", {"a": 1}),
    ("[1, [2]] @ a", {"a": [1, 2]}),
    ("2j*a", {"a": 1}),
    ("True*a", {"a": 1}),
    ("1e999*a", {"a": 1}),
    ("mean([])*a", {"a": 1}),
    ("a", {"a": [1, 2]}),
    ("a", {"a": 1, "b": 2}),
    ("a", {"a": "x"}),
    ("a", {"a": [1, [2]]}),
    ("a", {"a": float("inf")}),
    ("sum*2", {"sum": 1}),
    ("a", {"lambda": 1}),
    ("", {"a": 1}),
    ("1", {}),
    (" + ".join(["a"] * 60) + " + b", {"a": 1}),
]


def tell_bad_expressions() -> str:
    told = []
    for f, at in BAD:
        with pytest.raises(InputError) as caught:
            parse(f, at)
        told.append(f"f = {f!r}, at = {at}\n{caught.value}\n")
    return "\n".join(told)


def test_bad_expressions_are_told_in_one_sentence_with_a_caret() -> None:
    assert tell_bad_expressions() == (GOLDEN / "bad_expressions.txt").read_text(encoding="utf-8")


def test_the_micro_sign_of_a_keyboard_is_a_name_like_any_other() -> None:
    assert parse("\N{MICRO SIGN}**2", {"\N{MICRO SIGN}": 3}).gradient_text() == {"μ": "∂f/∂μ = 2*μ"}


def test_one_name_written_in_two_ways_has_one_start_value() -> None:
    with pytest.raises(InputError) as caught:
        parse("μ**2", {"\N{MICRO SIGN}": 3, "μ": 4})
    assert str(caught.value) == "μ has two start values, since Python treats 'μ' as the same name; give one."


def test_an_index_that_is_no_python_value_is_told_as_any_other() -> None:
    with pytest.raises(InputError, match="an element of it takes one whole number in"):
        parse("x[{[1]: 2}]", {"x": [1, 2]})


def test_a_tower_of_powers_is_refused_and_not_begun() -> None:
    problem = parse("a**a**a**a", {"a": 9})
    with pytest.raises(InputError, match=r"the exponent is 3\.8742e\+08; at most a million is allowed"):
        problem.value({"a": 9.0}, float)


def test_too_many_numbers() -> None:
    with pytest.raises(InputError, match="The variables have 500 numbers in all; at most 100 are allowed"):
        parse("sum(a)", {"a": [0] * 500})


@pytest.mark.parametrize("f", ["3a", "a +", "(a", "a)", "sum(a", "a b", "a = 1", "a\x00", "import os"])
def test_what_does_not_parse_says_so(f: str) -> None:
    with pytest.raises(InputError, match="f does not parse"):
        parse(f, {"a": 1})


@pytest.mark.parametrize(
    "f",
    [
        "9**9**9*a",
        "a**1e9",
        "a**(10**8)",
        "((a**99)**99)**99",
        "2**sqrt(10**16)*a",
        "1e999999999*a",
        "(" * 90 + "a" + ")" * 90 + "**1e5",
        "(" * 5000 + "a" + ")" * 5000,
        "-" * 5000 + "a",
        "a+" * 4000 + "a",
        "a+" * 9000 + "a",
        "sum(" + "[" * 200 + "a" + "]" * 200 + ")",
    ],
)
def test_hostile_expressions_are_refused_at_once(f: str) -> None:
    with pytest.raises(InputError):
        parse(f, {"a": 1})


UNDEFINED = [
    ("1/(a - 1)", "'1/(a - 1)' cannot be computed: division by zero."),
    ("2*log(a - 3)", "'log(a - 3)' cannot be computed: log of -2, which is not positive."),
    ("sqrt(-a)", "'sqrt(-a)' cannot be computed: square root of -1, which is negative."),
    ("sqrt(a - 1)", "'sqrt(a - 1)' cannot be computed: it has no derivative here, or an infinite one."),
    ("(-a)**0.5", "'(-a)**0.5' cannot be computed: power 0.5 of -1, which is negative."),
    ("(a - 1)**-2", "'(a - 1)**-2' cannot be computed: division by zero."),
    ("a**2/0", "∂f/∂a cannot be computed: division by zero."),
    ("exp(1e7*a)", "'exp(1e7*a)' cannot be computed: it overflows."),
    (
        "(a/3e100)**450",
        "'(a/3e100)**450' cannot be computed: its exact value has more than 20,000 digits; "
        "leave out exact for rounded numbers.",
    ),
]


@pytest.mark.parametrize(("f", "sentence"), UNDEFINED)
def test_where_f_is_undefined_the_part_is_named(f: str, sentence: str) -> None:
    problem = parse(f, {"a": 1})
    with pytest.raises(InputError) as caught:
        problem.gradient(problem.start, Fraction if problem.exact else float)
    assert str(caught.value) == sentence


def test_an_element_without_a_derivative_is_named_by_its_index() -> None:
    problem = parse("sum(a**2/0)", {"a": [[1, 2]]})
    with pytest.raises(InputError, match=r"^∂f/∂a\[0, 0\] cannot be computed: division by zero.$"):
        problem.gradient(problem.start)


def test_no_fractions_for_a_root() -> None:
    problem = parse("sqrt(a)", {"a": 4})
    with pytest.raises(InputError, match=r"f = sqrt\(a\) has no exact value in fractions"):
        problem.value(problem.start)


def test_a_point_must_fit_the_start() -> None:
    problem = parse("sum(a)", {"a": [1, 2]})
    with pytest.raises(InputError, match="'a' has shape \\(3,\\) here, but started with \\(2,\\)"):
        problem.value({"a": (1, 2, 3)})
    with pytest.raises(InputError, match="The point has no value for 'a'"):
        problem.gradient({})


def test_exact_work_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from surefoot.explain.problem.parse import parse;"
        "p = parse('mean(3*a**3)', {'a': [2, 3]}); p.gradient(p.start); p.latex(); p.gradient_latex();"
        "print(*sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


if __name__ == "__main__":  # write the golden text anew
    (GOLDEN / "bad_expressions.txt").write_text(tell_bad_expressions(), encoding="utf-8")
