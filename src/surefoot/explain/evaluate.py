"""An expression read on any kind of number: fractions, floats, mpmath, dual numbers, symbols, grids."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.node import Node
from surefoot.trace.values import Number

__all__ = ["Reading", "evaluate", "grid", "numbers", "symbols"]

# what + - * / ** exp … and "number" (made from a Fraction) mean on one kind of number
Reading = Mapping[str, Callable[..., Any]]

# Exact numbers beyond this (20,000 digits) come from steps that each double the digits: nobody reads them
BITS = 65_536


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
        if node.op == "mean":
            return [reading["/"](_sum(args[0], reading), reading["number"](Fraction(len(args[0]))))]
        apply, size = reading[node.op], math.prod(node.shape)
        columns = [arg * size if len(arg) < size else arg for arg in args]  # a number beside an array
        return [apply(*xs) for xs in zip(*columns, strict=True)] if size else []
    except OverflowError:
        raise InputError(f"{node.text!r} cannot be worked out: it overflows.") from None
    except ArithmeticError as error:
        raise InputError(f"{node.text!r} cannot be worked out: {error}.") from None


def _sum(items: Sequence[Number], reading: Reading) -> Number:
    total = items[0] if items else reading["number"](Fraction(0))
    for x in items[1:]:
        total = reading["+"](total, x)
    return total


def _product(inner: int, x: list[Number], y: list[Number], reading: Reading) -> list[Number]:
    """Return the matrix product; a vector is a row on the left and a column on the right."""
    if not inner:
        raise ArithmeticError("a product over no elements")
    rows = [x[i : i + inner] for i in range(0, len(x), inner)]
    width = len(y) // inner
    columns = [y[j::width] for j in range(width)]
    multiply = reading["*"]
    return [_sum([multiply(a, b) for a, b in zip(r, c, strict=True)], reading) for r in rows for c in columns]


def _divide(x: Any, y: Any) -> Any:
    if y == 0:
        raise ArithmeticError("division by zero")
    return x / y


def _too_long() -> ArithmeticError:
    return ArithmeticError(
        "its exact value has more than 20,000 digits; take fewer steps, or rounded numbers"
    )


def _exact_multiply(x: Fraction, y: Fraction) -> Fraction:
    z = x * y
    if max(z.numerator.bit_length(), z.denominator.bit_length()) > BITS:
        raise _too_long()
    return z


def _exact_power(x: Fraction, y: Fraction) -> Fraction:
    if x == 0 and y < 0:
        raise ArithmeticError("division by zero")
    if abs(y) * max(x.numerator.bit_length(), x.denominator.bit_length()) > BITS and x not in (0, 1, -1):
        raise _too_long()
    return x ** int(y)


def _not_exact(name: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise ArithmeticError(f"{name} of a fraction is no fraction; ask for rounded numbers")

    return refuse


def _sign(x: Any) -> int:
    return int(x > 0) - int(x < 0)


def _show(x: Any) -> str:
    return f"{float(x):.6g}" if abs(x) < 1e300 else "beyond all floats"


_EXACT: Reading = {
    "number": lambda q: q,
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": _exact_multiply,
    "/": _divide,
    "**": _exact_power,
    "abs": abs,
    "sign": lambda x: Fraction(_sign(x)),
    **{name: _not_exact(name) for name in ("exp", "log", "sin", "cos", "sqrt")},
}


def numbers(number: Callable[[Fraction], Number]) -> Reading:
    """Return the reading on a kind of number: Fraction, float, or a function that makes mpmath numbers.

    Example:
        >>> numbers(float)["exp"](0.0)
        1.0
    """
    sample = number(Fraction(1))
    if isinstance(sample, Fraction):
        return _EXACT
    if isinstance(sample, float):
        module: Any = math
    elif hasattr(sample, "man_exp"):
        import mpmath

        module = mpmath
    else:  # numbers that carry more than a value: their own + − × ÷ and powers
        return {**_EXACT, "number": number, "*": operator.mul, "**": lambda x, y: x ** float(y)}

    def exp(x: Any) -> Any:
        if x > 1e6:  # mpmath would go on, to numbers of any length
            raise OverflowError
        return module.exp(x)

    def log(x: Any) -> Any:
        if x <= 0:
            raise ArithmeticError(f"log of {_show(x)}, which is not positive")
        return module.log(x)

    def sqrt(x: Any) -> Any:
        if x < 0:
            raise ArithmeticError(f"square root of {_show(x)}, which is negative")
        return module.sqrt(x)

    def power(x: Any, y: Any) -> Any:
        if x == 0 and y < 0:
            raise ArithmeticError("division by zero")
        if abs(y) > 1e6 and abs(x) != 1:  # as in exp: digits without end
            raise ArithmeticError(f"the exponent is {_show(y)}, and a million is the most")
        if x < 0 and y != int(y):
            raise ArithmeticError(f"power {_show(y)} of {_show(x)}, which is negative")
        return x ** (int(y) if y == int(y) else y)

    return {
        **_EXACT,
        "number": number,
        "*": operator.mul,
        "**": power,
        "exp": exp,
        "log": log,
        "sin": module.sin,
        "cos": module.cos,
        "sqrt": sqrt,
        "sign": lambda x: number(Fraction(_sign(x))),
    }


def symbols() -> Reading:
    """Return the reading on sympy's symbols."""
    import sympy

    class Absolute(sympy.Function):  # type: ignore[misc]
        """abs with the derivative sign: sympy's own asks whether log(x) is real, and gets lost."""

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.sign(self.args[0])

        def _latex(self, printer: Any, exp: str | None = None) -> str:
            inner = rf"\left|{printer._print(self.args[0])}\right|"
            return inner if exp is None else f"{inner}^{{{exp}}}"

        def _sympystr(self, printer: Any) -> str:
            return f"abs({printer._print(self.args[0])})"

    return {
        "number": lambda q: sympy.Rational(q.numerator, q.denominator),
        "neg": operator.neg,
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": operator.pow,
        "exp": sympy.exp,
        "log": sympy.log,
        "sin": sympy.sin,
        "cos": sympy.cos,
        "sqrt": sympy.sqrt,
        "abs": Absolute,
    }


def grid() -> Reading:
    """Return the reading on NumPy arrays: each element is a whole grid of values, NaN where undefined."""
    import numpy as np

    return {
        "number": float,
        "neg": operator.neg,
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": np.divide,
        "**": np.float_power,
        "exp": np.exp,
        "log": np.log,
        "sin": np.sin,
        "cos": np.cos,
        "sqrt": np.sqrt,
        "abs": abs,
    }
