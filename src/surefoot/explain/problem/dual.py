"""Forward-mode differentiation with dual numbers: a second way to the gradient, sharing no rule with sympy.

x + x'ε with ε² = 0: each operation carries the derivatives along, (x + x'ε)(y + y'ε) = xy + (xy' + x'y)ε.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from surefoot.explain.problem.evaluate import Reading
from surefoot.trace.values import Number

__all__ = ["Dual", "dual"]


@dataclass(frozen=True)
class Dual:
    """A number and its derivative by each variable; those not listed are 0."""

    value: Number
    slopes: Mapping[Hashable, Number] = field(default_factory=dict)


def dual(reading: Reading) -> Reading:
    """Lift a reading to dual numbers over it.

    Example:
        >>> from surefoot.explain.problem.readings import numbers
        >>> square = dual(numbers(Fraction))["**"]
        >>> square(Dual(Fraction(3), {"x": Fraction(1)}), Dual(Fraction(2)))
        Dual(value=Fraction(9, 1), slopes={'x': Fraction(6, 1)})
    """
    add, multiply, divide, power, number = (reading[op] for op in ("+", "*", "/", "**", "number"))
    one, two = number(Fraction(1)), number(Fraction(2))

    def chain(value: Number, *parts: tuple[Number, Dual]) -> Dual:
        """Put together value + Σ factor·(slopes of x)."""
        slopes: dict[Hashable, Number] = {}
        for factor, x in parts:
            for name, slope in x.slopes.items():
                term = slope if factor is one else multiply(factor, slope)
                slopes[name] = add(slopes[name], term) if name in slopes else term
        return Dual(value, slopes)

    def through(name: str, slope: Callable[[Number, Number], Number]) -> Callable[[Dual], Dual]:
        """Lift a function, given its derivative at x where its value is y."""

        def lifted(x: Dual) -> Dual:
            y = reading[name](x.value)
            return chain(y, (slope(x.value, y), x)) if x.slopes else Dual(y)

        return lifted

    def lifted_power(x: Dual, y: Dual) -> Dual:
        value, parts = power(x.value, y.value), []
        if x.slopes and y.value != 0:
            parts.append((multiply(y.value, _slope(power, x.value, y.value - 1)), x))
        if y.slopes:
            parts.append((multiply(value, reading["log"](x.value)), y))
        return chain(value, *parts)

    def norm(*xs: Dual) -> Dual:
        y = reading["norm"](*(x.value for x in xs))
        return chain(y, *((multiply(x.value, reading["inverse"](y)), x) for x in xs))

    def larger(x: Dual, y: Dual) -> Dual:
        if x.value == y.value:
            return chain(x.value, (divide(one, two), x), (divide(one, two), y))
        return x if x.value > y.value else y

    return {
        "number": lambda q: Dual(number(q)),
        "neg": lambda x: chain(-x.value, (-one, x)),
        "+": lambda x, y: chain(x.value + y.value, (one, x), (one, y)),
        "-": lambda x, y: chain(x.value - y.value, (one, x), (-one, y)),
        "*": lambda x, y: chain(multiply(x.value, y.value), (y.value, x), (x.value, y)),
        "/": lambda x, y: chain(
            divide(x.value, y.value),
            (divide(one, y.value), x),
            (-divide(x.value, multiply(y.value, y.value)), y),
        ),
        "**": lifted_power,
        "exp": through("exp", lambda _, y: y),
        "log": through("log", lambda x, _: divide(one, x)),
        "sin": through("sin", lambda x, _: reading["cos"](x)),
        "cos": through("cos", lambda x, _: -reading["sin"](x)),
        "sqrt": through("sqrt", lambda _, y: _slope(divide, one, multiply(two, y))),
        "tanh": through("tanh", lambda _, y: one - multiply(y, y)),
        "sigmoid": through("sigmoid", lambda _, y: multiply(y, one - y)),
        "norm": norm,
        # at a kink as torch has it: abs, relu and norm 0, max half of each
        "abs": through("abs", lambda x, _: reading["sign"](x)),
        "relu": through("relu", lambda x, _: reading["step"](x)),
        "max": larger,
    }


def _slope(apply: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    """Apply, and say of a missing result that it is the derivative that is missing."""
    try:
        return apply(x, y)
    except ArithmeticError:
        raise ArithmeticError("it has no derivative here, or an infinite one") from None
