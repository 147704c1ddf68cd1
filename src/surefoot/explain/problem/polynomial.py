"""An expression read as a polynomial of degree 2: how a quadratic is recognised, expanding nothing higher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.evaluate import Reading, evaluate
from surefoot.explain.problem.node import Node

__all__ = ["hessian"]

# sorted places of its variables → coefficient: () is the constant, (0, 0) the square of variable 0
Terms = dict[tuple[int, ...], Fraction]


class _Beyond(Exception):
    """No polynomial of degree 2 (or none that is seen to be one term by term)."""


def hessian(
    tree: Node, sizes: Mapping[str, int], fixed: Mapping[str, Sequence[Fraction]]
) -> tuple[tuple[Fraction, ...], ...] | None:
    """Return the matrix of second derivatives of a quadratic, or None if the expression is no quadratic.

    Args:
        tree: the expression; a number.
        sizes: name → how many elements it has; rows and columns are in this order.
        fixed: name → elements that are constants.

    Returns:
        The symmetric matrix.
    """
    count = 0
    point: dict[str, list[Terms]] = {name: [{(): x} for x in xs] for name, xs in fixed.items()}
    for name, size in sizes.items():
        point[name] = [{(count + i,): Fraction(1)} for i in range(size)]
        count += size
    try:
        terms: Terms = evaluate(tree, point, _READING)[0]
    except (_Beyond, InputError):
        return None
    matrix = [[Fraction(0)] * count for _ in range(count)]
    for key, coefficient in terms.items():
        if len(key) == 2:
            i, j = key
            matrix[i][j] += coefficient
            matrix[j][i] += coefficient
    return tuple(map(tuple, matrix))


def _add(x: Terms, y: Terms, sign: int = 1) -> Terms:
    total = dict(x)
    for key, coefficient in y.items():
        total[key] = total.get(key, Fraction(0)) + sign * coefficient
    return total


def _multiply(x: Terms, y: Terms) -> Terms:
    product: Terms = {}
    for a, p in x.items():
        for b, q in y.items():
            if p and q:
                if len(a) + len(b) > 2:
                    raise _Beyond
                key = tuple(sorted(a + b))
                product[key] = product.get(key, Fraction(0)) + p * q
    return product


def _constant(x: Terms) -> Fraction:
    if any(key and coefficient for key, coefficient in x.items()):
        raise _Beyond
    return x.get((), Fraction(0))


def _divide(x: Terms, y: Terms) -> Terms:
    by = _constant(y)
    if not by:
        raise _Beyond
    return {key: coefficient / by for key, coefficient in x.items()}


def _power(x: Terms, y: Terms) -> Terms:
    n = _constant(y)
    if n in (0, 1, 2):
        return {(): Fraction(1)} if n == 0 else x if n == 1 else _multiply(x, x)
    if n.denominator != 1 or not (base := _constant(x)):
        raise _Beyond
    return {(): base ** int(n)}


def _beyond(*_: Any) -> Any:
    raise _Beyond


_READING: Reading = {
    "number": lambda q: {(): q},
    "neg": lambda x: _add({}, x, -1),
    "+": _add,
    "-": lambda x, y: _add(x, y, -1),
    "*": _multiply,
    "/": _divide,
    "**": _power,
    "abs": lambda x: {(): abs(_constant(x))},
    "relu": lambda x: {(): max(_constant(x), Fraction(0))},
    "max": lambda x, y: {(): max(_constant(x), _constant(y))},
    **dict.fromkeys(("exp", "log", "sin", "cos", "sqrt", "tanh", "sigmoid", "norm"), _beyond),
}
