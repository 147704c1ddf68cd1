"""The body of a rule's function, run on any kind of number; what it does wrong is told in a sentence."""

from __future__ import annotations

import functools
import itertools
import linecache
import math
import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import CellType, CodeType, FunctionType
from typing import Any

from surefoot.errors import InputError, headline
from surefoot.rules.numbers import to_mpmath

__all__ = ["Body"]

_ROOTS = (
    "take roots with sqrt of surefoot.rules.numbers, and define the rule with @surefoot.rule(exact=False)"
)
_NUMBERS = (
    "w, g and the slots are numbers of any kind here: use + - * / **, and sqrt, sign, maximum and select of "
    "surefoot.rules.numbers"
)


class Body:
    """A rule's function.

    Its float constants are the decimals that are written wherever it computes more exactly than floats do:
    0.1 is 1/10 among fractions.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], slots: dict[str, str], *, exact: bool = True
    ) -> None:
        self.name, self.function, self.slots, self.exact = name, function, slots, exact
        self._made: dict[Any, Callable[..., Any]] = {}

    @functools.cached_property
    def _has_floats(self) -> bool:
        f = self.function
        if not isinstance(f, FunctionType):
            return False
        cells = (c.cell_contents for c in f.__closure__ or () if _filled(c))
        outside = (f.__globals__.get(n) for code in _codes(f.__code__) for n in code.co_names)
        inside = (x for code in _codes(f.__code__) for x in code.co_consts)
        return any(map(_is_decimal, itertools.chain(cells, outside, inside)))

    def on(self, *values: Any) -> Callable[..., Any]:
        """The function for such numbers."""
        if not self._has_floats:
            return self.function
        kinds = {type(x).__module__.partition(".")[0] for x in values}
        if "torch" in kinds or "numpy" in kinds:
            return self.function
        key: Any = None
        make: Callable[[Fraction], Any]
        if "mpmath" in kinds:
            import mpmath

            key, make = mpmath.mp.prec, to_mpmath
        elif "sympy" in kinds:
            import sympy

            key, make = "sympy", sympy.Rational
        elif any(type(x) is Fraction or hasattr(x, "expression") for x in values):
            key, make = "fractions", Fraction
        else:
            return self.function
        if key not in self._made:
            self._made[key] = _with(self.function, make)
        return self._made[key]

    def raised(self, error: Exception) -> InputError:
        """What to say of an exception in the function."""
        line = ""
        for frame, number in traceback.walk_tb(error.__traceback__):
            code = frame.f_code
            if code.co_filename == getattr(self.function, "__code__", code).co_filename:
                written = linecache.getline(code.co_filename, number).strip()
                line = f" in line {number}" + (f" ({written})" if written else "")
        if isinstance(error, NameError):
            advice = "define that name, or correct its spelling"
        elif "NoneType" in str(error) and self.slots:
            which = " or ".join(self.slots)
            advice = f"{which} is None before the first gradient: test for None, or let it start at 0"
        elif "truth value of Relational" in str(error):
            advice = "a rule that compares w, g or a slot has no single formula"
        elif "sqrt" in line:
            advice = _ROOTS
        else:
            advice = _NUMBERS
        return InputError(f"The rule {self.name!r} raised {headline(error)}{line}; {advice}.")

    def checked(self, value: Any, given: list[Any]) -> Any:
        """A value that the function made of these, which of fractions must be none that is rounded."""
        if self.exact and _is_decimal(value):
            kinds = set(map(type, given))
            if Fraction in kinds and float not in kinds:
                raise InputError(
                    f"The rule {self.name!r} turns fractions into a float, as v ** 0.5 and math.sqrt(v) do; "
                    f"{_ROOTS}."
                )
        return value

    def unpacked(self, new: Any) -> list[Any]:
        """The new w, and the new value of each slot."""
        wanted = 1 + len(self.slots)
        if isinstance(new, tuple) and len(new) == wanted and self.slots:
            return list(new)
        if not self.slots and new is not None and not isinstance(new, (tuple, list)):
            return [new]
        if new is None:
            got = "nothing"
        elif isinstance(new, (tuple, list)):
            got = f"a {type(new).__name__} of {len(new)} value{'s' * (len(new) != 1)}"
        else:
            got = "one value"
        must = f"return {', '.join(['w', *self.slots])}, all new" if self.slots else "return the new w alone"
        raise InputError(f"The rule {self.name!r} returned {got}; it must {must}.")


def _filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _is_decimal(x: Any) -> bool:
    return type(x) is float and math.isfinite(x)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions inside it."""
    yield code
    for x in code.co_consts:
        if isinstance(x, CodeType):
            yield from _codes(x)


def _with(function: Any, make: Callable[[Fraction], Any]) -> Callable[..., Any]:
    """The function with its float constants made by `make`."""

    def number(x: Any) -> Any:
        return make(Fraction(str(x))) if _is_decimal(x) else x

    def turned(code: CodeType) -> CodeType:
        constants = (turned(x) if isinstance(x, CodeType) else number(x) for x in code.co_consts)
        return code.replace(co_consts=tuple(constants))

    names = {n for code in _codes(function.__code__) for n in code.co_names}
    outside = function.__globals__
    if any(_is_decimal(outside.get(n)) for n in names):
        outside = {n: number(x) if n in names else x for n, x in outside.items()}
    cells = tuple(CellType(number(c.cell_contents)) if _filled(c) else c for c in function.__closure__ or ())
    made = FunctionType(turned(function.__code__), outside, function.__name__, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    return made
