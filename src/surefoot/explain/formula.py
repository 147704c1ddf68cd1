"""Expressions and their derivatives as formulas: LaTeX, plain text, and from sympy back to our own trees."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.node import Node
from surefoot.rules.printing import latex_name
from surefoot.trace.values import Shape, indices

__all__ = ["from_sympy", "latex", "make_symbols", "slope_latex", "slope_text"]

# how tightly a formula holds together: what is written with less than it needs gets brackets
_SUM, _PRODUCT, _POWER, _ATOM = range(4)
_LETTERS = "ijklmnpqrst"

MOST = 6  # elements that are written out; after them …
_Formula = tuple[str, int]


def latex(node: Node) -> str:
    r"""Write an expression as LaTeX, in the elements of its arrays.

    Example:
        >>> from surefoot.explain.expression import read
        >>> print(latex(read("sum(a**2)/2", {"a": (3,)})))
        \frac{\sum_{i=1}^{3} a_{i}^{2}}{2}
    """
    return _write(node, (), 0)[0]


def _write(node: Node, index: Sequence[str], used: int) -> _Formula:
    """Write one element of a node; without an index an array is written whole. `used` letters are taken."""
    whole = bool(node.shape) and not index
    match node.op:
        case "number":
            return _number(node)
        case "name":
            return _subscript(_letter(str(node.value)), index if node.shape else ()), _ATOM
        case "item":
            array = node.args[0]
            assert isinstance(node.value, int)
            key = list(indices(array.shape))[node.value]
            return _write(array, [str(k + 1) for k in key], used)[0], _ATOM
        case "array":
            return _subscript(_matrix(node, used), index), _ATOM
        case "neg":
            return f"-{_in(node.args[0], index, used, _PRODUCT)}", _SUM
        case "+" | "-":
            left, right = _in(node.args[0], index, used, _SUM), _in(node.args[1], index, used, _PRODUCT)
            return f"{left} {node.op} {right}", _SUM
        case "*":
            return _times(*(_in(arg, index, used, _PRODUCT) for arg in node.args), whole=whole), _PRODUCT
        case "/":
            return rf"\frac{{{_in(node.args[0], index, used)}}}{{{_in(node.args[1], index, used)}}}", _POWER
        case "**":
            base, power = _in(node.args[0], index, used, _ATOM), _in(node.args[1], (), used)
            return f"{base}^{{{chr(92) + 'circ ' if whole else ''}{power}}}", _POWER
        case "@":
            left, right = (_in(arg, (), used, _POWER) for arg in node.args)
            transposed = r"^{\top}" if len(node.args[0].shape) == 1 else ""
            product = rf"{left}{transposed} {right}"
            return (_subscript(rf"\left({product}\right)", index), _ATOM) if index else (product, _PRODUCT)
        case "sum" | "mean":
            return _total(node, used)
        case "sqrt":
            return rf"\sqrt{{{_in(node.args[0], index, used)}}}", _ATOM
        case "abs":
            return rf"\left|{_in(node.args[0], index, used)}\right|", _ATOM
        case "exp":
            return f"e^{{{_in(node.args[0], index, used)}}}", _POWER
    return rf"\{node.op}\left({_in(node.args[0], index, used)}\right)", _POWER


def _in(node: Node, index: Sequence[str], used: int, need: int = _SUM) -> str:
    """Write a part, in brackets if it holds together less than needed."""
    text, level = _write(node, index if node.shape else (), used)
    return text if level >= need else rf"\left({text}\right)"


def _total(node: Node, used: int) -> _Formula:
    """Write a sum or a mean over all elements."""
    (body,) = node.args
    if not body.shape:
        return _write(body, (), used)
    letters = [_LETTERS[(used + k) % len(_LETTERS)] for k in range(len(body.shape))]
    count = 1
    signs = ""
    for letter, n in zip(letters, body.shape, strict=True):
        signs += rf"\sum_{{{letter}=1}}^{{{n}}} "
        count *= n
    over = rf"\frac{{1}}{{{count}}} " if node.op == "mean" and count > 1 else ""
    return over + signs + _in(body, letters, used + len(letters), _PRODUCT), _PRODUCT


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


def _matrix(node: Node, used: int) -> str:
    rows = [arg.args if arg.op == "array" else (arg,) for arg in node.args]
    lines = r" \\ ".join(" & ".join(_write(item, (), used)[0] for item in row) for row in rows)
    return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"


_letter = latex_name  # as the facts beside it are written


def _subscript(text: str, index: Sequence[str]) -> str:
    if not index:
        return text
    if text.endswith("}") and "_{" in text:  # x_{1} of a variable named x1
        text = f"{{{text}}}"
    between = ", " if all(i.isdigit() for i in index) else " "
    return f"{text}_{{{between.join(index)}}}"


def make_symbols(shapes: Mapping[str, Shape]) -> dict[str, list[Any]]:
    """Return a real sympy symbol for each element of each variable, named as in Python: a[0], W[0, 1]."""
    import sympy

    return {
        name: [
            sympy.Symbol(f"{name}[{', '.join(map(str, key))}]" if key else name, real=True)
            for key in indices(shape)
        ]
        for name, shape in shapes.items()
    }


def slope_text(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> str:
    """Write ∂f/∂name as plain text: as one formula where all elements are alike, else element by element."""
    alike = _alike(name, symbols, slopes)
    if alike is not None:
        return f"∂f/∂{name} = {alike}"
    parts = [f"∂f/∂{s} = {slope}" for s, slope in zip(symbols[name], slopes, strict=True)]
    return ", ".join(parts[:MOST] + ["…"] * (len(parts) > MOST))


def slope_latex(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> str:
    """Write ∂f/∂name as LaTeX: as one formula where all elements are alike, else element by element."""
    import sympy

    names = {s: _symbol_latex(s.name) for row in symbols.values() for s in row}
    alike = _alike(name, symbols, slopes)
    row = [sympy.Symbol(name)] if alike is not None else symbols[name]

    def write(expression: Any) -> str:
        return str(sympy.latex(expression, symbol_names=names))

    pairs = zip(row, slopes if alike is None else [alike], strict=True)
    parts = [rf"\frac{{\partial f}}{{\partial {write(s)}}} = {write(d)}" for s, d in pairs]
    return r", \quad ".join(parts[:MOST] + [r"\dots"] * (len(parts) > MOST))


def _symbol_latex(name: str) -> str:
    stem, _, key = name.partition("[")
    return _subscript(_letter(stem), [str(int(k) + 1) for k in key.rstrip("]").split(",")] if key else ())


def _alike(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> Any:
    """Return the one formula that gives each element's slope from that element of each variable, or None."""
    import sympy

    row = symbols[name]
    if not row:
        return None
    # only variables of one size go element by element; sizes equal by accident give no equal formulas below
    others = {n: r for n, r in symbols.items() if len(r) == len(row) and (len(r) > 1 or n == name)}
    elements = {s for r in symbols.values() if len(r) > 1 for s in r}
    found = set()
    for i, slope in enumerate(slopes):
        generic = slope.xreplace({r[i]: sympy.Symbol(n, real=True) for n, r in others.items()})
        found.add(generic)
        if len(found) > 1 or generic.free_symbols & elements:
            return None
    return found.pop()


def from_sympy(expression: Any, places: Mapping[Any, tuple[str, int]], text: str = "") -> Node:
    """Turn a sympy expression into a Node, to be read on any kind of number.

    Args:
        expression: made of + * powers, numbers and the functions of `surefoot.explain.expression`.
        places: symbol → (variable, position of the element).
        text: what the expression is called where it cannot be worked out.
    """
    if expression in places:
        name, place = places[expression]
        return Node("item", (Node("name", value=name),), (), text, place)
    if expression.is_Rational:
        return Node("number", (), (), text, Fraction(int(expression.p), int(expression.q)))
    one = Node("number", (), (), text, Fraction(1))
    if expression.is_Pow and expression.exp == -1:
        return Node("/", (one, from_sympy(expression.base, places, text)), (), text)
    kind = type(expression).__name__
    if kind == "Exp1":
        return Node("exp", (one,), (), text)
    args = tuple(from_sympy(arg, places, text) for arg in expression.args)
    if expression.is_Add:
        return Node("sum", (Node("array", args, (len(args),), text),), (), text)
    if expression.is_Mul:
        return functools.reduce(lambda x, y: Node("*", (x, y), (), text), args)
    if expression.is_finite is False or kind == "NaN":
        raise InputError(f"{text} has no derivative that can be written down everywhere: {expression}.")
    if kind not in _READINGS:
        raise AssertionError(f"No reading of sympy's {kind}, in {text}. Please report this.")
    return Node(_READINGS[kind], args, (), text)


# sympy's name → ours
_READINGS = {
    "Pow": "**",
    "Abs": "abs",
    "Absolute": "abs",
    **{x: x for x in ("exp", "log", "sin", "cos", "sign")},
}
