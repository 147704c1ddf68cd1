"""A Pen writes letters, numbers and formulas as plain text; latex_pen has the one for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.explain.forms.digits import MOST
from surefoot.explain.forms.numerals import Numerals
from surefoot.trace.values import Number, Value

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem
    from surefoot.rules.formula import Equation

__all__ = ["PLAIN", "Pen"]

_SUB = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAME = re.compile(r"[^\W\d][^\W⁰¹²³⁴⁵⁶⁷⁸⁹]*")  # a² is a and a power
PLAIN = re.compile(r"[\d.]+|\(.*\)")  # needs no brackets to be a factor or a base
_PYTHON_POWER = re.compile(r"\*\*(\d+)(?![\d.eEjJ_]|\s*\*\*)")


@dataclass(frozen=True)
class Pen:
    """How to write letters, numbers and formulas in Unicode's plain text; the numbers as `numerals` says."""

    numerals: Numerals

    def value(self, value: Value, write: Callable[[Number], str] | None = None) -> str:
        """Write a number, or a tensor as a tuple of them; of a long one the ends."""
        if not isinstance(value, tuple):
            return (write or self.result)(value)
        return self.tensor(self.written(value, write))

    def written(self, value: tuple[Value, ...], write: Callable[[Number], str] | None) -> list[str]:
        """Write each part of a tensor; of a long one the ends."""
        return [self.dots if v is None else self.value(v, write) for v in self.ends(value)]

    @staticmethod
    def ends(value: tuple[Value, ...]) -> tuple[Value, ...]:
        """The parts that are written, None for what is left out."""
        return value if len(value) <= MOST else (*value[:3], None, value[-1])

    def result(self, x: Number) -> str:
        """Write a result."""
        return self.number(self.numerals.result(x))

    def put_in(self, x: Number) -> str:
        """Write a number in the middle of a formula."""
        return self.number(self.numerals.put_in(x))

    def given(self, x: Number) -> str:
        """Write a number that was given."""
        return self.number(self.numerals.given(x))

    def setting(self, x: object) -> str:
        """Write a hyperparameter's value."""
        if isinstance(x, (bool, str)) or x is None:
            return self.word(str(x))
        return self.number(self.numerals.setting(x))

    def formula(self, equation: Equation, step: int) -> str:
        """Write the right-hand side with letters."""
        return self.right(equation, lambda name: self.letter(name, step))

    def numbers(self, equation: Equation, known: Mapping[str, Value], scalars: frozenset[str]) -> str:
        """Write the right-hand side with the numbers put in, hyperparameters as they were given."""

        def write(name: str) -> str:
            if name in scalars and not name.endswith(("ₜ", "ₜ₋₁")):
                return self.setting(known[name])
            return self.value(known[name], self.put_in)

        return self.right(equation, write)

    # what the pen for LaTeX does in its own way
    dots = "…"
    nabla = "∇"

    def math(self, text: str) -> str:
        """Set mathematics into prose."""
        return text

    def prose(self, text: str) -> str:
        """Write words that the user chose."""
        return text

    def f_after(self, step: int) -> str:
        """Write f(w₂)."""
        return f"f({self.letter('wₜ', step)})"

    def of(self, name: str) -> str:
        """Write whose state it is."""
        return f"of {name}"

    def under(self, rule: str) -> str:
        """Write under which rule."""
        return f"({rule})"

    def at(self, formula: str, point: str) -> str:
        """Write where a gradient is taken, if it is not taken at w."""
        return f"{formula} at {point}"

    def element(self, name: str, key: tuple[int, ...]) -> str:
        """Write x[0] for the first."""
        return f"{name}[{', '.join(map(str, key))}]"

    def names_elements(self, problem: Problem) -> bool:
        """Whether f or its gradient is written in elements."""
        return "[" in "".join(problem.gradient_text().values()) or any(
            f"{name}[" in problem.text for name in problem.shapes
        )

    def number(self, text: str) -> str:
        """Write −1.5, 3·10⁻⁵."""
        mantissa, e, exponent = text.partition("e")
        if e and exponent.lstrip("-").isdigit():
            factor = "" if mantissa in ("1", "-1") else f"{mantissa.lstrip('-')}·"
            text = f"{'-' * mantissa.startswith('-')}{factor}10"
            return text.replace("-", "−") + exponent.translate(_SUPER)
        return text.replace("-", "−")

    def word(self, text: str) -> str:
        """Write the word."""
        return text

    def tensor(self, items: list[str]) -> str:
        """Write (1, 2)."""
        return f"({', '.join(items)})"

    def letter(self, name: str, step: int | None = None) -> str:
        """Write b₂ for bₜ at step 2."""
        if step is None:
            return name.removesuffix("ₜ₋₁").removesuffix("ₜ")
        if name.endswith("ₜ₋₁"):
            return name.removesuffix("ₜ₋₁") + str(step - 1).translate(_SUB)
        return name.removesuffix("ₜ") + str(step).translate(_SUB) if name.endswith("ₜ") else name

    def right(self, equation: Equation, write: Callable[[str], str]) -> str:
        """Write it on one line."""
        return equation.text(write)

    def function(self, problem: Problem) -> str:
        """Write mean(3·a³ − b²)."""
        return self.expression(problem.text)

    def slopes(self, problem: Problem, name: str) -> list[str]:
        """Write ∂f/∂x[0] = 2·x[0]."""
        return [self.expression(part) for part in re.split(r", (?=∂f/∂|…)", problem.gradient_text()[name])]

    def slope(self, problem: Problem, name: str) -> tuple[str, str]:
        """Write ∂f/∂a and 9·a²/2."""
        left, _, formula = problem.gradient_text()[name].partition(" = ")
        return f"∂f/∂{name}", "" if "[" in left or "[" in formula else self.expression(formula)

    def expression(self, text: str) -> str:
        """Write Python's notation as a person would: 9·a²/2."""
        text = _PYTHON_POWER.sub(lambda m: m[1].translate(_SUPER), text)
        return text.replace("**", "^").replace("*", "·").replace("-", "−")

    def slope_numbers(self, problem: Problem, name: str, point: Mapping[str, Value]) -> str:
        """Put numbers for names, in brackets where they need them."""
        formula = self.slope(problem, name)[1]

        def write(match: re.Match[str]) -> str:
            if match[0] not in point or formula[match.end() :].startswith("("):  # sign(w) of a variable sign
                return match[0]
            text = self.value(point[match[0]], self.put_in)
            enclosed = formula[: match.start()].endswith("(") and formula[match.end() :].startswith(")")
            return text if enclosed or PLAIN.fullmatch(text) else f"({text})"

        return _NAME.sub(write, formula)
