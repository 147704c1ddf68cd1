"""An expression as a formula in LaTeX, in the elements of its arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from surefoot.explain.problem.node import Node, names
from surefoot.rules.names import latex_name
from surefoot.trace.values import indices

__all__ = ["latex", "subscript"]

# how tightly a formula holds together: what is written with less than it needs gets brackets
_SUM, _PRODUCT, _POWER, _ATOM = range(4)
_INDICES = [letter + "'" * primes for primes in range(20) for letter in "ijklmnpqrst"]

_Formula = tuple[str, int]


class _Letters(NamedTuple):
    """What letters may mean where a part is written."""

    free: tuple[str, ...]  # for the indices of sums
    euler: bool  # whether e is free, to be Euler's number


def latex(node: Node) -> str:
    r"""Write an expression as LaTeX, in the elements of its arrays.

    Example:
        >>> from surefoot.explain.problem.expression import read
        >>> print(latex(read("sum(a**2)/2", {"a": (3,)})))
        \frac{\sum_{i=1}^{3} a_{i}^{2}}{2}
    """
    taken = names(node)
    free = tuple(x for x in _INDICES if x not in taken)
    return _write(node, (), _Letters(free, "e" not in taken))[0]


def _write(node: Node, index: Sequence[str], letters: _Letters) -> _Formula:
    """Write one element of a node; without an index an array is written whole."""
    whole = bool(node.shape) and not index
    match node.op:
        case "number":
            return _number(node)
        case "name":
            # as the facts beside it are written
            return subscript(latex_name(str(node.value)), index if node.shape else ()), _ATOM
        case "item":
            array = node.args[0]
            assert isinstance(node.value, int)
            key = list(indices(array.shape))[node.value]
            return _write(array, [str(k + 1) for k in key], letters)
        case "array":
            return subscript(_matrix(node, letters), index), _ATOM
        case "neg":
            return f"-{_in(node.args[0], index, letters, _PRODUCT)}", _SUM
        case "+" | "-":
            left, right = _in(node.args[0], index, letters, _SUM), _in(node.args[1], index, letters, _PRODUCT)
            return f"{left} {node.op} {right}", _SUM
        case "*":
            # a sum goes on to the end of its product; before another factor it needs brackets
            need = _POWER if _ends_in_sum(node.args[0]) else _PRODUCT
            left, right = _in(node.args[0], index, letters, need), _in(node.args[1], index, letters, _PRODUCT)
            return _times(left, right, whole=whole), _PRODUCT
        case "/":
            return (
                rf"\frac{{{_in(node.args[0], index, letters)}}}{{{_in(node.args[1], index, letters)}}}",
                _POWER,
            )
        case "**":
            base, power = _in(node.args[0], index, letters, _ATOM), _in(node.args[1], (), letters)
            return f"{base}^{{{chr(92) + 'circ ' if whole else ''}{power}}}", _POWER
        case "@":
            product = _matrix_product(node, letters)
            return (subscript(rf"\left({product}\right)", index), _ATOM) if index else (product, _PRODUCT)
        case "T":
            if len(node.shape) < 2:
                return _write(node.args[0], index, letters)
            if index:
                return _write(node.args[0], index[::-1], letters)
            return rf"{_in(node.args[0], (), letters, _ATOM)}^{{\top}}", _POWER
        case "sum" | "mean":
            return _total(node, letters)
        case "sqrt":
            return rf"\sqrt{{{_in(node.args[0], index, letters)}}}", _ATOM
        case "abs":
            return rf"\left|{_in(node.args[0], index, letters)}\right|", _ATOM
        case "norm" | "norm2":
            norm = rf"\left\|{_in(node.args[0], (), letters)}\right\|"
            return (norm, _ATOM) if node.op == "norm" else (f"{norm}^{{2}}", _POWER)
        case "relu" | "sigmoid":
            return rf"\operatorname{{{node.op}}}\left({_in(node.args[0], index, letters)}\right)", _POWER
        case "max":
            several = ", ".join(_in(arg, index, letters) for arg in node.args)
            return rf"\max\left({several}\right)", _POWER
        case "log" if node.text.startswith("ln"):
            return rf"\ln\left({_in(node.args[0], index, letters)}\right)", _POWER
        case "exp":
            power = _in(node.args[0], index, letters)
            return (f"e^{{{power}}}" if letters.euler else rf"\exp\left({power}\right)"), _POWER
    return rf"\{node.op}\left({_in(node.args[0], index, letters)}\right)", _POWER


def _in(node: Node, index: Sequence[str], letters: _Letters, need: int = _SUM) -> str:
    """Write a part, in brackets if it holds together less than needed."""
    text, level = _write(node, index if node.shape else (), letters)
    return text if level >= need else rf"\left({text}\right)"


def _matrix_product(node: Node, letters: _Letters) -> str:
    """Write a product as one line of factors: a vector is a row in front of others, xᵀAx, else a column."""
    row, *others = _factors(node)
    text = _in(row, (), letters, _ATOM if len(row.shape) == 1 else _POWER)
    if len(row.shape) == 1:
        text += r"^{\top}"
    for factor in others:
        if factor.op == "@" and _is_row(factor):  # yᵀA as the column it is behind another factor
            text += rf" \left({_matrix_product(factor, letters)}\right)^{{\top}}"
        else:
            text += f" {_in(factor, (), letters, _POWER)}"
    return text


def _factors(node: Node) -> list[Node]:
    """Take a product apart as far as its brackets do not matter: (x@A)@y and x@(A@y) are xᵀAy."""
    left, right = node.args
    first = [left]
    if left.op == "@" and (_is_row(left) or len(left.shape) == 2):
        first = _factors(left)
    last = _factors(right) if right.op == "@" and not _is_row(right) and right.shape else [right]
    return [*first, *last]


def _is_row(node: Node) -> bool:
    """Whether a product is written as a row: a vector in front of a matrix."""
    return len(node.shape) == 1 and len(_factors(node)[0].shape) == 1


def _total(node: Node, letters: _Letters) -> _Formula:
    """Write a sum or a mean over all elements."""
    (body,) = node.args
    if not body.shape:
        return _write(body, (), letters)
    count = len(body.shape)
    own, free = letters.free[:count], letters.free[count:]
    signs = "".join(rf"\sum_{{{letter}=1}}^{{{n}}} " for letter, n in zip(own, body.shape, strict=True))
    size = math.prod(body.shape)
    over = rf"\frac{{1}}{{{size}}} " if node.op == "mean" and size > 1 else ""
    return over + signs + _in(body, own, letters._replace(free=free), _PRODUCT), _PRODUCT


def _ends_in_sum(node: Node) -> bool:
    """Whether what is written last is a sum over something."""
    if node.op == "*":
        return _ends_in_sum(node.args[1])
    return node.op in ("sum", "mean") and (bool(node.args[0].shape) or _ends_in_sum(node.args[0]))


def _times(left: str, right: str, *, whole: bool) -> str:
    if whole:
        return rf"{left} \odot {right}"
    dot = r"\cdot " if right[0].isdigit() or (right.startswith(r"\frac") and left[-1].isdigit()) else ""
    return f"{left} {dot}{right}"


def _number(node: Node) -> _Formula:
    mantissa, _, power = node.text.lower().replace("_", "").partition("e")
    if not power or node.text.lower().startswith("0x"):
        return str(node.value) if isinstance(
            node.value, Fraction
        ) and node.value.denominator == 1 else mantissa, _ATOM
    ten = f"10^{{{int(power)}}}"
    return (ten, _POWER) if mantissa in ("1", "1.", "1.0") else (rf"{mantissa} \cdot {ten}", _PRODUCT)


def _matrix(node: Node, letters: _Letters) -> str:
    rows = [arg.args if arg.op == "array" else (arg,) for arg in node.args]
    lines = r" \\ ".join(" & ".join(_write(item, (), letters)[0] for item in row) for row in rows)
    return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"


def subscript(text: str, index: Sequence[str]) -> str:
    """A letter with an index behind it, as LaTeX; as it is without one."""
    if not index:
        return text
    if text.endswith("}") and "_{" in text:  # x_{1} of a variable named x1
        text = f"{{{text}}}"
    between = ", " if all(i.isdigit() for i in index) else " "
    return f"{text}_{{{between.join(index)}}}"
