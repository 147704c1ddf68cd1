"""An expression evaluated on any kind of number; readings.py says what + − × mean on each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.node import Node
from surefoot.trace.values import Number

__all__ = ["Reading", "evaluate"]

# what + - * / ** exp … and "number" (made from a Fraction) mean on one kind of number
Reading = Mapping[str, Callable[..., Any]]


def evaluate(node: Node, point: Mapping[str, Sequence[Number]], reading: Reading) -> list[Number]:
    """Return the elements of an expression's value, row by row.

    Args:
        node: the expression.
        point: name → elements, row by row.
        reading: what the operations mean.

    Raises:
        InputError: a part has no value here (division by zero, log of a negative number …), named.
    """
    match node.op:
        case "number":
            return [reading["number"](node.value)]
        case "name":
            return list(point[str(node.value)])
        case "item":
            assert isinstance(node.value, int)
            return [evaluate(node.args[0], point, reading)[node.value]]
        case "array":
            return [x for arg in node.args for x in evaluate(arg, point, reading)]
    args = [evaluate(arg, point, reading) for arg in node.args]
    try:
        if node.op == "@":
            return _product(node.args[1].shape[0], args[0], args[1], reading)
        if node.op == "sum":
            return [_sum(args[0], reading)]
        if node.op == "norm":
            return [reading["norm"](*args[0])]
        if node.op == "norm2":
            return [_sum([reading["*"](x, x) for x in args[0]], reading)]
        if node.op == "T":
            return _transposed(args[0], node.shape)
        if node.op == "mean":
            return [reading["/"](_sum(args[0], reading), reading["number"](Fraction(len(args[0]))))]
        apply, size = reading[node.op], math.prod(node.shape)
        columns = [arg * size if len(arg) < size else arg for arg in args]  # a number beside an array
        return [apply(*xs) for xs in zip(*columns, strict=True)] if size else []
    except OverflowError:
        raise InputError(f"{node.text!r} cannot be computed: it overflows.") from None
    except ArithmeticError as error:
        raise InputError(f"{node.text!r} cannot be computed: {error}.") from None


def _sum(items: Sequence[Number], reading: Reading) -> Number:
    total = items[0] if items else reading["number"](Fraction(0))
    for x in items[1:]:
        total = reading["+"](total, x)
    return total


def _transposed(x: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Return the elements of the matrix with this shape whose transpose has the elements x."""
    return x if len(shape) < 2 else [x[j * shape[0] + i] for i in range(shape[0]) for j in range(shape[1])]


def _product(inner: int, x: list[Number], y: list[Number], reading: Reading) -> list[Number]:
    """Return the matrix product; a vector is a row on the left and a column on the right."""
    if not inner:
        raise ArithmeticError("a product over no elements")
    rows = [x[i : i + inner] for i in range(0, len(x), inner)]
    width = len(y) // inner
    columns = [y[j::width] for j in range(width)]
    multiply = reading["*"]
    return [_sum([multiply(a, b) for a, b in zip(r, c, strict=True)], reading) for r in rows for c in columns]
