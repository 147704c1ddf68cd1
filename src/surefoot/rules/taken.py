"""The formula of the branch that a step takes, for a rule that goes by its step count or by its numbers.

Symbols take one branch for all steps, as `t % 2 == 0` is never true of a letter. So where a line does not
give the number that the rule computes, the step is read again with letters that know what they stand for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import sympy

from surefoot.errors import InputError
from surefoot.rules.formula import Equation, before, formulas, known, now, symbol
from surefoot.rules.hyper import H
from surefoot.rules.numbers import to_mpmath, zero

if TYPE_CHECKING:
    from surefoot.rules.rule import Rule

__all__ = ["blank", "step_formulas"]


def step_formulas(rule: Rule, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> list[Equation]:
    """The lines of this very step, as `formulas` has them: each gives the number that the rule computes.

    A line for which nothing of the kind is found is blank: its right side is its left one.

    Example:
        >>> from surefoot.rules import rule
        >>> @rule
        ... def twice(w, g, t=0, *, lr=0.5):
        ...     t = t + 1
        ...     return w - lr * (2 * g if t % 2 == 0 else g), t
        >>> for count in (0, 1):
        ...     print(step_formulas(twice, twice.hyper(), 3.0, 1.0, {"t": count})[-1].text())
        wₜ₋₁ − γ gₜ
        wₜ₋₁ − 2 γ gₜ
    """
    if rule.formula in _built_in():  # these branch by options alone
        return formulas(rule, h, s)
    values = known(rule, h, w, g, s)
    found: list[Equation] = []
    for knowing in (False, True):
        try:
            found = _taken(rule, h, w, g, s) if knowing else formulas(rule, h, s)
        except (InputError, TypeError, ValueError, ArithmeticError, AttributeError):
            continue
        if all(_computes(e, values) for e in found):
            return found
    if not found:
        found = [blank(Equation(x.name, now(x.letter), None)) for x in rule.lines(h, w, g, s)]
    return [e if _computes(e, values) else blank(e) for e in found]


def blank(equation: Equation) -> Equation:
    """The line without a formula."""
    return equation._replace(right=equation.left)


@cache
def _built_in() -> frozenset[Any]:
    from surefoot.rules.table import RULES

    return frozenset(x.formula for x in RULES.values())


def _computes(e: Equation, values: Mapping[str, Any]) -> bool:
    """Whether a line gives its number, but for rounding."""
    if e.right == e.left:
        return True
    import mpmath

    with mpmath.workdps(50):
        try:
            put_in = {x: sympy.Float(to_mpmath(values[x.name]), 50) for x in e.right.free_symbols}
            got, wanted = e.right.evalf(50, subs=put_in), sympy.Float(to_mpmath(values[e.left.name]), 50)
            return bool(abs(got - wanted) <= abs(wanted) * sympy.Float("1e-12") + sympy.Float("1e-30"))
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            return False


def _taken(rule: Rule, h: H, w: Any, g: Any, s: Mapping[str, Any]) -> list[Equation]:
    equations: list[Equation] = []

    def note(name: str, value: Any) -> Any:
        left = now(rule.letter(name))
        equations.append(Equation(name, left, _expression(value)))
        return _Known(left, _number(value))

    fixed = {x.name: h[x.name] for x in rule.hypers if not x.is_number or h[x.name] is None}
    fixed |= {x.name: 0 for x in rule.hypers if x.is_number and x.name != "lr" and zero(h[x.name])}
    letters = {x.name: _Known(symbol(x.letter), h[x.name]) for x in rule.hypers if x.name not in fixed}
    slots = {x.name: s[x.name] for x in rule.slots}
    state = {
        x.name: None if slots[x.name] is None else _Known(before(x.letter), slots[x.name]) for x in rule.slots
    }
    put_in = H(rule.hypers, letters | fixed)
    rule.run(put_in, _Known(before("w"), w), _Known(now("g"), g), state, note)
    return equations


class _Known:
    """A letter, or a formula of letters, and the number that it stands for, which is what is compared."""

    def __init__(self, expression: Any, number: Any) -> None:
        self.expression, self.number = expression, number

    def __bool__(self) -> bool:
        return bool(self.number)

    def __int__(self) -> int:
        return int(self.number)

    def __index__(self) -> int:
        if self.number != int(self.number):
            raise TypeError("no whole number")
        return int(self.number)

    def __float__(self) -> float:
        return float(self.number)

    __hash__ = None  # type: ignore[assignment]

    def sqrt(self) -> _Known:
        from surefoot.rules.numbers import sqrt

        return _Known(sympy.sqrt(self.expression), sqrt(self.number))


def _expression(x: Any) -> Any:
    if isinstance(x, _Known):
        return x.expression
    return sympy.Rational(str(x)) if isinstance(x, (float, Fraction)) else sympy.sympify(x)


def _number(x: Any) -> Any:
    return x.number if isinstance(x, _Known) else x


def _both(operation: Callable[..., Any], *, turned: bool = False) -> Callable[..., Any]:
    def made(*xs: Any) -> _Known:
        xs = xs[::-1] if turned else xs
        return _Known(operation(*map(_expression, xs)), operation(*map(_number, xs)))

    return made


def _compared(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: operation(_number(a), _number(b))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(_Known, f"__{_name}__", _both(getattr(operator, _name)))
    setattr(_Known, f"__r{_name}__", _both(getattr(operator, _name), turned=True))
for _name in ("neg", "pos", "abs"):
    setattr(_Known, f"__{_name}__", _both(getattr(operator, _name)))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(_Known, f"__{_name}__", _compared(getattr(operator, _name)))
