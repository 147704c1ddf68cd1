"""What the operations of an expression mean on fractions, floats, mpmath's numbers and grids."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from surefoot.explain.problem.evaluate import Reading
from surefoot.trace.values import Number

__all__ = ["OPERATORS", "grid", "numbers"]

# Exact numbers beyond this (20,000 digits) come from steps that each double the digits: nobody reads them
BITS = 65_536
# Rounded numbers beyond 2^±RANGE overflow, or are 0: mpmath would go on, to exponents of any length
RANGE = 1_500_000


def _divide(x: Any, y: Any) -> Any:
    if y == 0:
        raise ArithmeticError("division by zero")
    return x / y


def _too_long() -> ArithmeticError:
    return ArithmeticError("its exact value has more than 20,000 digits; leave out exact for rounded numbers")


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
        raise ArithmeticError(f"{name} of a fraction is not a fraction; ask for rounded numbers")

    return refuse


def _in_range(x: Any) -> Any:
    """Return an mpmath number, 0 for one that is too small; refuse one that is too large."""
    if _bits(x) > RANGE:
        raise OverflowError
    return x if _bits(x) > -RANGE else x * 0


def _bits(x: Any) -> int:
    """Return the exponent of 2 that an mpmath number is just below; 0 of what has none."""
    _, mantissa, exponent, bits = x._mpf_
    return int(exponent + bits) if mantissa else 0


def _sign(x: Any) -> int:
    return int(x > 0) - int(x < 0)


def _relu(x: Any) -> Any:
    return x if x > 0 else x * 0


def _inverse(x: Any) -> Any:
    """1/x, and 0 for 0: what a norm's slope is made with."""
    return 1 / x if x else x


def _show(x: Any) -> str:
    return f"{float(x):.6g}" if abs(x) < 1e300 else "beyond all floats"


_FUNCTIONS = ("exp", "log", "sin", "cos", "sqrt", "tanh")
_ROUNDED = (*_FUNCTIONS, "sigmoid", "norm")  # no fraction of a fraction
# what numbers of a kind have themselves
OPERATORS: Reading = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
_EXACT: Reading = {
    **OPERATORS,
    "number": lambda q: q,
    "*": _exact_multiply,
    "/": _divide,
    "**": _exact_power,
    "abs": abs,
    "sign": lambda x: Fraction(_sign(x)),
    "step": lambda x: Fraction(int(x > 0)),
    "relu": _relu,
    "max": max,
    "inverse": _inverse,
    **{name: _not_exact(name) for name in _ROUNDED},
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

    def same(x: Any) -> Any:
        return x

    ranged: Callable[[Any], Any] = same  # floats have a range of their own
    if isinstance(sample, float):
        module: Any = math
    elif hasattr(sample, "man_exp"):
        import mpmath

        module, ranged = mpmath, _in_range
    else:  # numbers that carry more than a value: their own + − × ÷ and powers
        return {**_EXACT, "number": number, "*": operator.mul, "**": lambda x, y: x ** float(y)}

    def exp(x: Any) -> Any:
        if x > 1e6:
            raise OverflowError
        return module.exp(x) if x > -1e6 else number(Fraction(0))

    def log(x: Any) -> Any:
        if x <= 0:
            raise ArithmeticError(f"log of {_show(x)}, which is not positive")
        return module.log(x)

    def sqrt(x: Any) -> Any:
        if x < 0:
            raise ArithmeticError(f"square root of {_show(x)}, which is negative")
        return module.sqrt(x)

    def sigmoid(x: Any) -> Any:
        one = number(Fraction(1))
        return _divide(one, one + exp(-x)) if x > 0 else _divide(exp(x), one + exp(x))

    def norm(*xs: Any) -> Any:
        return sqrt(sum((ranged(x * x) for x in xs), number(Fraction(0))))

    def angle(name: str) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            if ranged is _in_range and _bits(x) > BITS:  # mpmath would take as many digits of π
                raise ArithmeticError(f"{name} of a number beyond 10^20,000")
            return getattr(module, name)(x)

        return apply

    def power(x: Any, y: Any) -> Any:
        if x == 0 and y < 0:
            raise ArithmeticError("division by zero")
        if abs(y) > 1e6 and abs(x) != 1:  # as in exp: digits without end
            raise ArithmeticError(f"the exponent is {_show(y)}; at most a million is allowed")
        if x < 0 and y != int(y):
            raise ArithmeticError(f"power {_show(y)} of {_show(x)}, which is negative")
        return ranged(x ** (int(y) if y == int(y) else y))

    return {
        **_EXACT,
        "number": number,
        "*": lambda x, y: ranged(x * y),
        "/": lambda x, y: ranged(_divide(x, y)),
        "**": power,
        "exp": exp,
        "log": log,
        "sin": angle("sin"),
        "cos": angle("cos"),
        "sqrt": sqrt,
        "tanh": module.tanh,
        "sigmoid": sigmoid,
        "norm": norm,
        "sign": lambda x: number(Fraction(_sign(x))),
        "step": lambda x: number(Fraction(int(x > 0))),
    }


def grid() -> Reading:
    """Return the reading on NumPy arrays: each element is a whole grid of values, NaN where undefined."""
    import numpy as np

    return {
        **OPERATORS,
        **{name: getattr(np, name) for name in _FUNCTIONS},
        "number": float,
        "/": np.divide,
        "**": np.float_power,
        "abs": abs,
        "relu": lambda x: np.maximum(x, 0),
        "max": np.maximum,
        "sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),
        "norm": lambda *xs: np.sqrt(sum(x * x for x in xs)),
    }
