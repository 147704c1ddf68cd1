"""Derivatives in sympy: as formulas in text and LaTeX, and back to our own trees."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.formula import subscript
from surefoot.explain.problem.node import Node
from surefoot.explain.problem.symbols import norm_of
from surefoot.rules.names import latex_name
from surefoot.trace.values import Shape, indices

__all__ = [
    "alike", "differentiate", "from_sympy", "make_symbols", "slope_latex", "slope_numbers_latex",
    "slope_text", "symbol_latex", "trees",
]  # fmt: skip

_MOST_SLOPES = 6  # of one variable that are written out, element by element; after them …


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


def differentiate(f: Any, symbols: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the partial derivatives of f; only the terms that have an element are differentiated by it."""
    import sympy

    terms: dict[Any, list[Any]] = {}
    for term in sympy.Add.make_args(f):
        for symbol in term.free_symbols:
            terms.setdefault(symbol, []).append(term)
    return {
        name: [sympy.Add(*(term.diff(s) for term in terms.get(s, ()))) for s in row]
        for name, row in symbols.items()
    }


def trees(symbols: Mapping[str, list[Any]], slopes: Mapping[str, list[Any]]) -> dict[str, list[Node]]:
    """Return partial derivatives as trees of our own, each called ∂f/∂ of its symbol."""
    places = {s: (name, i) for name, row in symbols.items() for i, s in enumerate(row)}
    return {
        name: [from_sympy(d, places, f"∂f/∂{s}") for s, d in zip(symbols[name], row, strict=True)]
        for name, row in slopes.items()
    }


def slope_text(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> str:
    """Write ∂f/∂name as plain text: as one formula where all elements are alike, else element by element."""
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):  # type: ignore[misc]
        def _print_Exp1(self, e: Any) -> str:
            return "exp(1)"  # a variable may be named E

    write = Printer().doprint
    common = alike(name, symbols, slopes)
    if common is not None:
        return f"∂f/∂{name} = {write(common)}"
    parts = [f"∂f/∂{s} = {write(slope)}" for s, slope in zip(symbols[name], slopes, strict=True)]
    return ", ".join(parts[:_MOST_SLOPES] + ["…"] * (len(parts) > _MOST_SLOPES))


def slope_latex(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> str:
    """Write ∂f/∂name as LaTeX: as one formula where all elements are alike, else element by element."""
    common = alike(name, symbols, slopes)
    row = [_symbol(name)] if common is not None else symbols[name]
    letters = {s: symbol_latex(s.name) for r in (*symbols.values(), map(_symbol, symbols)) for s in r}
    letters |= {_norm(n): rf"\left\Vert {symbol_latex(n)} \right\Vert" for n in symbols}
    pairs = zip(row, slopes if common is None else [common], strict=True)
    parts = [
        rf"\frac{{\partial f}}{{\partial {letters[s]}}} = {_latex(d, letters, 'e' not in symbols)}"
        for s, d in pairs
    ]
    return r", \quad ".join(parts[:_MOST_SLOPES] + [r"\dots"] * (len(parts) > _MOST_SLOPES))


def slope_numbers_latex(
    name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any], written: Mapping[str, str]
) -> str:
    """Write ∂f/∂name, one formula for all its elements, as LaTeX with numbers put in.

    Args:
        name: the variable.
        symbols: as from `make_symbols`.
        slopes: one for each element.
        written: name → its value, in brackets where it needs them.
    """
    values = {_symbol(n): text for n, text in written.items()}
    values |= {_norm(n): rf"\left\Vert {text} \right\Vert" for n, text in written.items()}
    return _latex(alike(name, symbols, slopes), values, "e" not in symbols, mul_symbol="dot")


def _symbol(name: str) -> Any:
    import sympy

    return sympy.Symbol(name, real=True)


def _norm(name: str) -> Any:
    """The norm of a whole variable, in one formula for all elements."""
    return _symbol(f"norm({name})")


def _latex(expression: Any, names: Mapping[Any, str], euler: bool, **settings: Any) -> str:
    """Write an expression of sympy's; `euler` says whether the letter e is Euler's number here."""
    import sympy
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):  # type: ignore[misc]
        def _print_ExpBase(self, e: Any, exp: str | None = None) -> str:
            if euler:
                return str(super()._print_ExpBase(e, exp))
            return str(self._do_exponent(rf"\exp\left({self._print(e.args[0])}\right)", exp))

        def parenthesize_super(self, s: str) -> str:
            return s if s.startswith("(") else str(super().parenthesize_super(s))  # a number put in

    one = _symbol("exp(1)")  # sympy lets no printer write its e otherwise
    if not euler:
        expression = expression.xreplace({sympy.E: one})
    return str(Printer({"symbol_names": {**names, one: r"\exp(1)"}, **settings}).doprint(expression))


def symbol_latex(name: str) -> str:
    """A variable, or an element of one such as x[0], in LaTeX."""
    stem, _, key = name.partition("[")
    return subscript(latex_name(stem), [str(int(k) + 1) for k in key.rstrip("]").split(",")] if key else ())


def alike(name: str, symbols: Mapping[str, list[Any]], slopes: Sequence[Any]) -> Any:
    """Return the one formula that gives each element's slope from that element of each variable, or None."""
    import sympy

    row = symbols[name]
    if not row:
        return None
    # only variables of one size go element by element; sizes equal by accident give no equal formulas below
    others = {n: r for n, r in symbols.items() if len(r) == len(row) and (len(r) > 1 or n == name)}
    elements = {s for r in symbols.values() if len(r) > 1 for s in r}
    norms = {norm_of(r): _norm(n) for n, r in symbols.items() if len(r) > 1}
    found = set()
    for i, slope in enumerate(slopes):
        slope = slope.xreplace(norms)
        generic = slope.xreplace({r[i]: sympy.Symbol(n, real=True) for n, r in others.items()})
        found.add(generic)
        if len(found) > 1 or generic.free_symbols & elements:
            return None
    return found.pop()


def from_sympy(expression: Any, places: Mapping[Any, tuple[str, int]], text: str) -> Node:
    """Turn a sympy expression into a Node, to be read on any kind of number.

    Args:
        expression: made of + * powers, numbers and the functions of `surefoot.explain.problem.expression`.
        places: symbol → (variable, position of the element).
        text: what the expression is called where it cannot be worked out.
    """
    if expression in places:
        name, place = places[expression]
        return Node("item", (Node("name", value=name),), (), text, place)
    if expression.is_Rational:
        return Node("number", (), (), text, Fraction(int(expression.p), int(expression.q)))
    one = Node("number", (), (), text, Fraction(1))
    if expression.is_Pow and expression.exp == -1 and type(expression.base).__name__ == "Norm":
        return Node("inverse", (from_sympy(expression.base, places, text),), (), text)
    if expression.is_Pow and expression.exp == -1:
        return Node("/", (one, from_sympy(expression.base, places, text)), (), text)
    kind = type(expression).__name__
    if kind in ("Pi", "ImaginaryUnit"):  # of log(-2), which is log(2) + iπ
        raise InputError(f"{text} is not real: f has a power, root or logarithm of a negative number.")
    if kind == "Exp1":
        return Node("exp", (one,), (), text)
    args = tuple(from_sympy(arg, places, text) for arg in expression.args)
    if expression.is_Add:
        return Node("sum", (Node("array", args, (len(args),), text),), (), text)
    if kind == "Norm":
        return Node("norm", (Node("array", args, (len(args),), text),), (), text)
    if expression.is_Mul:
        return functools.reduce(lambda x, y: Node("*", (x, y), (), text), args)
    if kind == "ComplexInfinity":
        raise InputError(f"{text} cannot be computed: division by zero.")
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
    "Maximum": "max",
    **{x: x.lower() for x in ("exp", "log", "sin", "cos", "tanh", "sign", "Step", "Relu", "Sigmoid")},
}
