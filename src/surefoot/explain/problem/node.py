"""One operation of an expression, and what can be said of a tree without evaluating it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from surefoot.trace.values import Shape

__all__ = ["ROUNDED", "Node", "bends", "constants", "degree", "exponent", "is_exact", "names"]

# a fraction does not always give a fraction
_ROUNDED = {"exp", "log", "sin", "cos", "sqrt", "tanh", "sigmoid", "norm"}
# the same in words
ROUNDED = "roots, norms, exp, log, sin, cos, tanh or sigmoid"
_BENT = {"abs", "relu", "max", "norm"}


@dataclass(frozen=True)
class Node:
    """One operation of an expression.

    Args:
        op: "number", "name", "item", "array", "neg", "T", one of + - * / ** @, or a function's name;
            "norm2" is norm(…)**2, which needs no root.
        args: what it works on.
        shape: the sizes of its result; a number has shape ().
        text: the source it was read from.
        value: a number's value, a name, or the position of an item among the elements of its array.
    """

    op: str
    args: tuple[Node, ...] = ()
    shape: Shape = ()
    text: str = ""
    value: Fraction | str | int | None = None


def walk(node: Node) -> Iterator[Node]:
    """Yield each node of a tree."""
    yield node
    for arg in node.args:
        yield from walk(arg)


def names(node: Node) -> set[str]:
    """Return the names of the variables in a tree."""
    return {str(part.value) for part in walk(node) if part.op == "name"}


def constants(node: Node) -> Iterator[Fraction]:
    """Yield the numbers that are written in a tree."""
    return (part.value for part in walk(node) if isinstance(part.value, Fraction))


def bends(node: Node) -> Iterator[Node]:
    """Yield the parts that may have a kink: abs, relu, max, norm."""
    return (part for part in walk(node) if part.op in _BENT)


def is_exact(node: Node) -> bool:
    """Return whether a tree of fractions gives fractions: no roots, exponentials, logarithms or angles."""
    if node.op in _ROUNDED:
        return False
    if node.op == "**":
        power = exponent(node.args[1])
        if power is None or power.denominator != 1:
            return False
    return all(is_exact(arg) for arg in node.args)


def exponent(node: Node) -> Fraction | None:
    """Return the value of a constant exponent made of numbers and + - * /, or None."""
    values = [exponent(arg) for arg in node.args]
    match node.op, values:
        case "number", _:
            assert isinstance(node.value, Fraction)
            return node.value
        case "neg", [Fraction() as x]:
            return -x
        case "+", [Fraction() as x, Fraction() as y]:
            return x + y
        case "-", [Fraction() as x, Fraction() as y]:
            return x - y
        case "*", [Fraction() as x, Fraction() as y]:
            return x * y
        case "/", [Fraction() as x, Fraction() as y] if y:
            return x / y
        case "**", [Fraction() as x, Fraction() as y] if y.denominator == 1 and 0 <= y <= 10:
            return x ** int(y)
    return None


def degree(node: Node) -> int:
    """Return a bound on the powers in a tree, 6 for (x**2 * y)**2; numbers count as names do."""
    inner = [degree(arg) for arg in node.args]
    if node.op in ("*", "/", "@"):
        return sum(inner)
    if node.op == "norm2":
        return 2 * inner[0]
    if node.op == "**":
        power = exponent(node.args[1]) or Fraction(1)  # with names in it, it is worked out in rounded numbers
        return inner[0] * max(1, math.ceil(abs(power)))
    return max(inner, default=1)
