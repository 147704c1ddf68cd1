"""The gradient found twice, by sympy's derivatives and by dual numbers, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.dual import Dual, dual
from surefoot.explain.evaluate import evaluate, numbers
from surefoot.explain.node import Node
from surefoot.trace.values import Number

__all__ = ["slopes_at"]

Make = Callable[[Fraction], Number]
Flat = Mapping[str, list[Number]]  # name → elements, row by row


def slopes_at(
    tree: Node, derivatives: Mapping[str, Sequence[Node]], point: Callable[[Make], Flat], number: Make
) -> dict[str, list[Number]]:
    """Return the partial derivatives at a point.

    Args:
        tree: the function.
        derivatives: name → ∂f/∂x for each element x, as expressions.
        point: gives the point in a kind of number.
        number: makes the numbers wanted of fractions. Floats are worked out to 50 digits, then rounded.

    Returns:
        name → slopes, row by row.

    Raises:
        InputError: f or its derivative has no value there.
    """
    sample = number(Fraction(1))
    if not (isinstance(sample, float) or hasattr(sample, "man_exp")):
        return _slopes(tree, derivatives, point(number), number, check=isinstance(sample, Fraction))
    import mpmath

    # worked out to 50 digits, so that two right ways to a derivative agree although each rounds
    with mpmath.workdps(max(50, mpmath.mp.dps)):
        flat = {n: [mpmath.mpf(x) for x in xs] for n, xs in point(_fine).items()}
        for name, xs in flat.items():
            if not all(mpmath.isfinite(x) for x in xs):
                raise InputError(f"{name} is not finite any more.")
        slopes = _slopes(tree, derivatives, flat, _fine)
    if isinstance(sample, float):
        slopes = {name: [float(x) for x in xs] for name, xs in slopes.items()}
    return slopes


def _slopes(
    tree: Node, derivatives: Mapping[str, Sequence[Node]], flat: Flat, number: Make, *, check: bool = True
) -> dict[str, list[Number]]:
    """Return the partial derivatives in one kind of number; with `check`, found twice and compared."""
    reading: Any = numbers(number)
    carried = None
    if check:  # first, since this way names the part of f that has no derivative
        one = number(Fraction(1))
        seeds = {name: [Dual(x, {(name, i): one}) for i, x in enumerate(xs)] for name, xs in flat.items()}
        carried = evaluate(tree, seeds, dual(reading))[0].slopes
    slopes = {name: [evaluate(d, flat, reading)[0] for d in row] for name, row in derivatives.items()}
    if carried is not None:
        for name, i in ((name, i) for name, row in slopes.items() for i in range(len(row))):
            _check_agree(f"∂f/∂{name}[{i}]", slopes[name][i], carried.get((name, i), 0), tree.text)
    return slopes


def _fine(q: Fraction) -> Number:
    import mpmath

    return mpmath.mpf(q.numerator) / q.denominator


def _check_agree(what: str, one: Number, other: Number, text: str) -> None:
    """Raise if two ways to one derivative part: on fractions at all, else beyond 20 of 50 digits."""
    agree = one == other if isinstance(one, Fraction) else abs(one - other) <= (1 + abs(one)) * 1e-20
    if not agree:
        raise AssertionError(
            f"{what} of f = {text}: sympy gives {one}, dual numbers {other}. Please report this."
        )
