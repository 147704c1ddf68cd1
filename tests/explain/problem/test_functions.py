"""Functions with kinks, norms, transposes: values and slopes as torch has them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.explain import explain
from surefoot.explain.problem.autograd import autograd, tensor_value
from surefoot.explain.problem.parse import parse
from surefoot.trace.values import elements

VECTORS = st.lists(st.integers(-3, 3), min_size=3, max_size=3)
# each in x and y, vectors of three; small whole numbers meet the kinks
FUNCTIONS = [
    "sum(relu(x)*y)",
    "sum(max(x, y))",
    "sum(max(x, 0)*y)",
    "max(x@y, 1)",
    "norm(x)*sum(y)",
    "norm(x - y)",
    "norm(x - 2*y)**2 + norm(y)**3",
    "mean(tanh(x - y)**2)",
    "sum(y*sigmoid(x))",
    "sum(ln(1 + x**2)) + relu(norm(y) - 2)",
    "[x, y].T[2, 1]*x[0] + sum(x.T)",
    "x@[[1, 2, 3], [4, 5, 6]].T@[1, -1] + y@x",
]


@pytest.mark.parametrize("f", FUNCTIONS)
@given(x=VECTORS, y=VECTORS)
def test_values_and_slopes_are_those_of_torch(f: str, x: list[int], y: list[int]) -> None:
    import torch

    problem = parse(f, {"x": x, "y": y})
    tensors = {"x": torch.tensor(x, dtype=torch.float64), "y": torch.tensor(y, dtype=torch.float64)}
    assert problem.value(problem.start, float) == pytest.approx(tensor_value(problem, tensors).item())
    theirs = autograd(problem, problem.start)
    for name, slopes in problem.gradient(problem.start, float).items():
        assert list(slopes) == pytest.approx(theirs[name], abs=1e-9)


@given(x=VECTORS, c=VECTORS)
def test_what_is_fixed_is_a_constant_of_f(x: list[int], c: list[int]) -> None:
    """The gradient is that part of the gradient by everything which belongs to what steps change."""
    f, at = "norm(x - c)**2 + sum(relu(c*x)) + dot(c, c)", {"x": x, "c": c}
    both, held = parse(f, at), parse(f, at, ["c"])
    assert held.gradient(held.start) == {"x": both.gradient(both.start)["x"]}
    assert held.value(held.start) == both.value(both.start)


def test_least_squares_on_fixed_data_as_torch_does_it() -> None:
    import torch

    data: Any = {"X": [[1, 1], [1, 2], [1, 4]], "y": [2, 3, 4]}
    e = explain("sgd", f="mean((X@w - y)**2)", at={"w": [0, 0]}, fixed=data, lr=0.05, momentum=0.9, steps=5)
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    X, y = (torch.tensor(v, dtype=torch.float64) for v in data.values())
    optimizer = torch.optim.SGD([w], lr=0.05, momentum=0.9)
    for _ in range(5):
        optimizer.zero_grad()
        ((X @ w - y) ** 2).mean().backward()
        optimizer.step()
    assert [float(x) for x in elements(e.traces[0].steps[-1].w["w"])] == pytest.approx(w.tolist())
    assert "f is quadratic" in e.theory[0]
    assert "∂f/∂w[0] = 2·w[0] + 14·w[1]/3 − 6" in e.text()
    named = explain("sgd", f="mean((X@w - y)**2)", at={**data, "w": [0, 0]}, fixed="X, y", lr=0.05, steps=5)
    assert named.traces[0].start == e.traces[0].start
    assert e.data()["fixed"]["y"] == [2, 3, 4]


def test_a_constant_of_one_formula_keeps_its_letter() -> None:
    e = explain("sgd", f="sum(c*x**2)", at={"x": [1, 2]}, fixed={"c": [2, 3]}, lr=0.1, steps=1)
    assert "2·c·x     = 2·(2, 3)·(1, 2)      = (4.0000, 12.0000)" in e.text()


def test_much_data_is_worked_out_and_more_is_refused() -> None:
    rows = [[1, i] for i in range(300)]
    f, at = "mean((X@w - 1)**2)", {"w": [0, 0]}
    assert parse(f, {**at, "X": rows}, ["X"]).gradient({"w": (0, 0)}) == {"w": (Fraction(-2), Fraction(-299))}
    with pytest.raises(
        InputError, match=r"^The fixed arrays have 1002 numbers in all; at most 1000 are allowed\.$"
    ):
        parse(f, {**at, "X": [[1, i] for i in range(501)]}, ["X"])


def test_norm_squared_and_relu_are_exact() -> None:
    said = explain("sgd", f="norm(x)**2 + relu(y)", at={"x": ["1/3", 1], "y": 2}, lr="1/4", exact=True).text()
    assert "= 2·(1/3, 1)" in said
    assert "= (2/3, 2)" in said


@pytest.mark.parametrize(
    ("f", "at", "taken"),
    [
        ("norm(w)", [0, 0], "norm(w) has a kink here, and so no slope; 0 is used, as in torch"),
        ("sum(relu(w))", [1, 0], "relu(w) has a kink here, and so no slope; 0 is used, as in torch"),
        ("sum(max(w, 1))", [1, 0], "half of the slope of each is used, as in torch.maximum"),
    ],
)
def test_at_a_kink_it_says_which_slope_is_taken(f: str, at: list[int], taken: str) -> None:
    assert taken in explain("sgd", f=f, at={"w": at}, lr=0.1, steps=1).text(width=200)


def test_a_kink_of_data_alone_is_not_told() -> None:
    assert "corner" not in explain("sgd", f="w**2 + relu(c)", at={"w": 1}, fixed={"c": 0}, lr=0.1).text()


LATEX = [
    ("x@A@x", r"x^{\top} A x"),
    ("x@(A@x)", r"x^{\top} A x"),
    ("(A@x)@x", r"\left(A x\right)^{\top} x"),
    ("x@A.T@A@x", r"x^{\top} A^{\top} A x"),
    ("x@(x@A)", r"x^{\top} \left(x^{\top} A\right)^{\top}"),
    ("(x + x)@A@x", r"\left(x + x\right)^{\top} A x"),
    ("(x**2)@x", r"\left(x^{\circ 2}\right)^{\top} x"),
    ("sum((A + A).T@x)", r"\sum_{i=1}^{2} \left(\left(A + A\right)^{\top} x\right)_{i}"),
    ("norm(A@x)**2", r"\left\|A x\right\|^{2}"),
    ("sum(max(x, 0)) + ln(x[0])", r"\sum_{i=1}^{2} \max\left(x_{i}, 0\right) + \ln\left(x_{1}\right)"),
]


@pytest.mark.parametrize(("f", "latex"), LATEX)
def test_products_are_written_as_on_a_board(f: str, latex: str) -> None:
    at = {n: v for n, v in {"x": [1, 2], "A": [[1, 2], [3, 4]]}.items() if n in f}
    assert parse(f, at).latex() == latex


BAD: list[tuple[dict[str, Any], str]] = [
    ({"fixed": "c"}, "fixed names 'c', which has no value; at has w."),
    ({"fixed": "w"}, "All of w is fixed; leave a variable for the steps to change."),
    ({"fixed": {"w": 1}}, "w is given both in at and in fixed; give it once."),
    ({"fixed": 3}, "fixed must name variables of at, as ['X', 'y'], but it is 3."),
    ({"fixed": {"c": 1}}, "'c' is fixed, but does not occur in f = w**2."),
    ({"f": None, "gradients": [{"w": 1}], "fixed": "w"}, "fixed holds what f has beside its variables; with"),
    ({"f": "max(w)"}, "max takes 2 arguments."),
    (
        {"f": "sum(max(w, [1, 2]))", "at": {"w": [1, 2, 3]}},
        "max requires equal shapes or a number, but got",
    ),
    ({"f": "w.real"}, "'w.real' is not allowed in f"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD)
def test_bad_input_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        explain("sgd", **{"f": "w**2", "at": {"w": 1}, **change})
    assert str(caught.value).startswith(sentence)


def test_the_command_takes_names_and_values() -> None:
    from surefoot.cli import main

    common = ["explain", "sgd", "sum(c*w**2)", "--lr", "0.1", "--steps", "1", "--format", "json"]
    assert main([*common, "--at", "w=1,2", "--at", "c=3,4", "--fixed", "c"]) == 0
    assert main([*common, "--at", "w=1,2", "--fixed", "c=3,4"]) == 0
