"""The formula of the branch that a step takes."""

from fractions import Fraction

import pytest

from surefoot.rules import get, rule
from surefoot.rules.taken import step_formulas

ONE = Fraction(1)


@rule
def largest(w, g, b=0, t=0, *, lr=0.5, k=3):
    """By the count, by the sign, by the larger."""
    t = t + 1
    b = max(b, abs(g)) if t % k else b
    return w - lr * (g if g > 0 else 2 * g) / (1 + b) ** 2, b, t


@pytest.mark.parametrize(
    ("g", "b", "count", "lines"),
    [
        (ONE, 0 * ONE, 0, ["|gₜ|", "wₜ₋₁ − γ gₜ / (1 + |gₜ|)²"]),
        (ONE, 4 * ONE, 0, ["bₜ₋₁", "wₜ₋₁ − γ gₜ / (1 + bₜ₋₁)²"]),
        (-ONE, 0 * ONE, 2, ["bₜ₋₁", "wₜ₋₁ − 2 γ gₜ / (1 + bₜ₋₁)²"]),
    ],
)
def test_each_step_has_the_formula_of_its_branch(g, b, count, lines):
    h = largest.hyper().map(Fraction)
    found = step_formulas(largest, h, ONE, g, {"b": b, "t": count})
    assert [e.text() for e in found if e.name != "t"] == lines


def test_what_no_reading_finds_is_left_blank():
    @rule
    def opaque(w, g, *, lr=0.5):
        return w - lr * Fraction(str(g)).limit_denominator(2)

    (line,) = step_formulas(opaque, opaque.hyper().map(Fraction), ONE, Fraction(1, 3), {})
    assert line.right == line.left


def test_rules_without_branches_are_read_as_ever():
    torch = get("torch")
    h, s = torch.hyper(momentum=0.5), {"momentum_buffer": 2.0}
    assert step_formulas(torch, h, 1.0, 3.0, s) == torch.formulas(h, s)
