"""What is said once about letters: indices, where gradients are taken; and that formulas show it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from surefoot.explain import explain
from surefoot.rules import RULES

BOWL: dict[str, Any] = {
    "f": "x**2 + x*y + y**2 + exp(x/4)",
    "at": {"x": 1, "y": 2},
    "lr": 0.1,
    "autograd": False,
}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_says_where_its_gradient_is_taken(name: str) -> None:
    """The gradient's numbers are those at the point that its line and the legend name."""
    e = explain(name, **BOWL, **({"momentum": 0.5} if "momentum" in RULES[name].defaults else {}))
    text = " ".join(e.text().split())
    for t, moment in enumerate(e.traces[0].steps, 1):
        before, point = moment.before, moment.point
        if RULES[name].look is None:
            assert point == before
            assert f" at p{'₀₁₂'[t]}" not in text
        else:
            buffers = e.traces[0].state_before(t).get("x", {})
            assert float(point["x"]) == pytest.approx(
                float(before["x"]) + 0.5 * float(buffers.get("velocity") or 0)
            )
            assert f"g{'₀₁₂'[t]} = 2·x + y + exp(x/4)/4 at p{'₀₁₂'[t]} = " in text
        x, y = (float(point[n]) for n in "xy")
        assert float(moment.gradients["x"]) == pytest.approx(2 * x + y + math.exp(x / 4) / 4)
    where = "p₁" if RULES[name].look is not None else "w₀"
    assert f"w₁ is w after step 1, g₁ = ∇f({where})." in text


def test_rules_that_take_their_gradients_at_different_points() -> None:
    e = explain(["sutskever", "torch"], **BOWL, momentum=0.5)
    assert "w₁ is w after step 1, g₁ = ∇f(p₁) in sutskever and g₁ = ∇f(w₀) in torch." in e.text()
    assert r"2 x + y + \frac{e^{\frac{x}{4}}}{4} \right\rvert_{p^{(2)}}" in e.latex()


def test_sutskever_is_what_a_loop_with_autograd_gives() -> None:
    import torch

    e = explain("sutskever", **{**BOWL, "momentum": 0.9, "steps": 6})
    w, v = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for moment in e.traces[0].steps:
        ahead = (w + 0.9 * v).requires_grad_()
        x, y = ahead
        (x**2 + x * y + y**2 + torch.exp(x / 4)).backward()
        assert ahead.grad is not None
        v = 0.9 * v - 0.1 * ahead.grad
        w = w + v
        assert [float(moment.w[n]) for n in "xy"] == pytest.approx(w.tolist())


def test_an_index_below_is_an_elements_and_one_above_a_steps_in_latex() -> None:
    e = explain("adam", f="sum(x**2)*x[0]", at={"x": [1, 2]}, lr=0.1, steps=1, maximize=True)
    assert r"$w^{(1)}$ is $w$ after step 1, $g^{(1)} = \nabla f(w^{(0)})$; $x_{1}$ is the first" in e.latex()
    assert r"(1 - \beta_2) \, ({g'}^{(1)})^{2}" in e.latex()
    assert "x[0] is the first element of x." in e.text()


def test_a_matrix_is_one_in_latex() -> None:
    at = {"A": [[1, 2], ["1/3", 4]]}
    said = explain("sgd", f="sum(A**2)", at=at, lr=0.5, weight_decay=0.25, steps=1, exact=True).latex()
    assert r"A = \begin{pmatrix} 1 & 2 \\ \tfrac{1}{3} & 4 \end{pmatrix}" in said
    assert r"&= 2 \cdot \begin{pmatrix} 1 & 2 \\" in said
    long = explain("sgd", f="sum(A**2)", at={"A": [[1] * 8] * 8}, lr=0.5, steps=1).latex()
    assert r"\vdots & \vdots & \vdots & \vdots & \vdots \\" in long
