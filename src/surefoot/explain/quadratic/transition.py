"""A rule's step on one direction of a quadratic as a matrix, found by running the rule; its eigenvalues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from surefoot.explain.quadratic.roots import gap
from surefoot.rules import H, Rule
from surefoot.rules.numbers import to_mpmath
from surefoot.trace.values import exact

__all__ = ["gap_of", "swings", "transition"]

Matrix = tuple[tuple[Fraction, ...], ...]


def gap_of(matrix: Matrix) -> float:
    """Return 1 − the largest eigenvalue of a matrix in absolute value."""
    if len(matrix) == 1:
        return float(1 - abs(matrix[0][0]))
    if len(matrix) == 2:
        (a, b), (c, d) = matrix
        return gap(a + d, a * d - b * c)
    import mpmath

    with mpmath.workdps(60 * len(matrix)):  # of an n-fold eigenvalue, an n-th of the digits are right
        exactly = mpmath.matrix([[*map(to_mpmath, row)] for row in matrix])
        found = float(1 - max(map(abs, mpmath.eig(exactly, left=False, right=False))))
    return found if abs(found) > 1e-40 else 0.0  # the last digits are noise


def swings(matrix: Matrix) -> bool:
    """Return whether −1 is a double eigenvalue of a matrix that is no multiple of the unit matrix."""
    if len(matrix) != 2:
        return False
    (a, b), (c, d) = matrix
    return a + d == -2 and a * d - b * c == 1 and bool(b or c)


def transition(rule: Rule, h: H, curvature: Fraction) -> Matrix | None:
    """Return the matrix that one step of a rule is on (w, its state), found by running the rule itself.

    Args:
        rule: the rule.
        h: its hyperparameters.
        curvature: h, so that the gradient at w is hw.

    Returns:
        The matrix, exactly; None if the rule has roots, or is no linear map, or not the same at each step, or
        divides by 0 on the way.

    Example:
        >>> from surefoot.rules import get
        >>> rule = get("torch")
        >>> transition(rule, rule.hyper(lr=0.5, momentum=0.9), Fraction(1))  # rows: w, momentum_buffer
        ((Fraction(1, 2), Fraction(-9, 20)), (Fraction(1, 1), Fraction(9, 10)))
    """
    if not rule.exact:
        return None
    h = h.map(exact)

    def step(w: Fraction, state: dict[str, Any]) -> tuple[Fraction, dict[str, Any]]:
        return rule.step(h, w, curvature * rule.point(h, w, state), state)

    try:
        return _matrix(rule, h, step)
    except ArithmeticError:  # as g / abs(g) at 0
        return None


def _matrix(rule: Rule, h: H, step: Callable[..., tuple[Fraction, dict[str, Any]]]) -> Matrix | None:
    """Return the matrix of a step; None if it is no linear map, or not the same at each step."""
    first = step(Fraction(1), rule.init(h, Fraction(1)))[1]
    slots = [name for name, value in first.items() if value is not None]

    def advance(vector: Sequence[Fraction]) -> tuple[Fraction, ...]:
        w, state = step(vector[0], {**first, **dict(zip(slots, vector[1:], strict=True))})
        return (w, *(state[name] for name in slots))

    size = 1 + len(slots)
    columns = [advance([Fraction(i == j) for i in range(size)]) for j in range(size)]
    matrix = tuple(zip(*columns, strict=True))
    # two more vectors: a rule that is not linear, or counts its steps, gives itself away
    for vector in ([Fraction(0)] * size, [Fraction(-3 - 2 * i, 7) for i in range(size)]):
        if advance(vector) != tuple(sum(m * x for m, x in zip(row, vector, strict=True)) for row in matrix):
            return None
    seen = [0]  # w, and of the state what w depends on: a buffer that is never read has no say
    for i in seen:
        seen += [j for j in range(size) if matrix[i][j] and j not in seen]
    return tuple(tuple(matrix[i][j] for j in sorted(seen)) for i in sorted(seen))
