"""The pen for LaTeX: letters, numbers and formulas for math mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from surefoot.explain.forms.pen import PLAIN, Pen
from surefoot.explain.problem.derivatives import symbol_latex
from surefoot.rules.names import latex_name
from surefoot.trace.values import Number, Value, shape

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem
    from surefoot.rules.formula import Equation

__all__ = ["LatexPen"]


class LatexPen(Pen):
    """LaTeX, for math mode."""

    dots = r"\dots"
    nabla = r"\nabla "

    def math(self, text: str) -> str:
        """Write $b$."""
        return f"${text}$"

    def prose(self, text: str) -> str:
        """Write with what LaTeX would take for commands made harmless."""
        return re.sub(r"([\\{}$&#%_^~])", lambda m: rf"\{m[0]}" if m[0] not in "\\^~" else " ", text)

    def number(self, text: str) -> str:
        """Write a negative number, a power of ten, a fraction."""
        mantissa, e, exponent = text.partition("e")
        if e and exponent.lstrip("-").isdigit():
            factor = "" if mantissa in ("1", "-1") else rf"{mantissa.lstrip('-')} \cdot "
            return rf"{'-' * mantissa.startswith('-')}{factor}10^{{{exponent}}}"
        above, slash, below = text.lstrip("-").partition("/")
        if slash:
            return rf"{'-' * text.startswith('-')}\tfrac{{{above}}}{{{below}}}"
        return {"nan": r"\mathrm{NaN}", "inf": r"\infty", "-inf": r"-\infty"}.get(text, text).replace(
            "…", r"\dots"
        )

    def word(self, text: str) -> str:
        """Write it upright."""
        return rf"\text{{{text.replace('_', ' ')}}}"

    def value(self, value: Value, write: Callable[[Number], str] | None = None) -> str:
        """Write a matrix in rows and columns, anything else as text does."""
        if len(shape(value)) != 2 or not all(shape(value)):
            return super().value(value, write)
        dots = [r"\vdots"] * len(self.ends(value[0]))
        rows = (dots if row is None else self.written(row, write) for row in self.ends(value))
        lines = r" \\ ".join(map(" & ".join, rows))
        return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"

    def tensor(self, items: list[str]) -> str:
        """Write (1, 2) with a little space."""
        return "(" + r",\, ".join(items) + ")"

    def letter(self, name: str, step: int | None = None) -> str:
        """Write b^{(2)} for bₜ at step 2; an index below is an element's."""
        stem = name.removesuffix("ₜ₋₁").removesuffix("ₜ")
        if step is None or stem == name:
            return latex_name(stem)
        base = latex_name(stem)
        base = f"{{{base}}}" if set(base) & set("_^'") else base  # of v1 or g′ at step 2
        return f"{base}^{{({step - 1 if name.endswith('ₜ₋₁') else step})}}"

    def formula(self, equation: Equation, step: int) -> str:
        """Write it with letters, which need no dot between them."""
        return super().formula(equation, step).replace(r" \cdot ", r" \, ")

    def right(self, equation: Equation, write: Callable[[str], str]) -> str:
        """Write it in math mode."""
        return equation.latex(write)

    def function(self, problem: Problem) -> str:
        """Write it as the problem does."""
        return problem.latex()

    def slopes(self, problem: Problem, name: str) -> list[str]:
        """Write each element's derivative."""
        return problem.gradient_latex()[name].split(r", \quad ")

    def of(self, name: str) -> str:
        """Write it in words."""
        return rf"\text{{ of }} {self.letter(name)}"

    def at(self, formula: str, point: str) -> str:
        """Write it with a bar and the point below."""
        return rf"\left. {formula} \right\rvert_{{{point}}}"

    def element(self, name: str, key: tuple[int, ...]) -> str:
        """Write x_{1} for the first."""
        return symbol_latex(f"{name}[{', '.join(map(str, key))}]")

    def names_elements(self, problem: Problem) -> bool:
        """Whether f has arrays: it is written in their elements."""
        return any(problem.shapes.values())

    def under(self, rule: str) -> str:
        """Write it in words."""
        return rf"\text{{ ({self.prose(rule)})}}"

    def slope(self, problem: Problem, name: str) -> tuple[str, str]:
        """Write ∂f/∂a and its formula, both as fractions."""
        _, _, formula = problem.gradient_latex()[name].partition(" = ")
        several = r"\quad" in formula or "[" in problem.gradient_text()[name]
        return rf"\frac{{\partial f}}{{\partial {self.letter(name)}}}", "" if several else formula

    def slope_numbers(self, problem: Problem, name: str, point: Mapping[str, Value]) -> str:
        """Write it anew, with numbers for letters."""
        texts = {n: self.value(value, self.put_in) for n, value in point.items()}
        plain = {n for n, text in texts.items() if PLAIN.fullmatch(text) or text.startswith(r"\begin")}
        return problem.numbers_latex(name, {n: x if n in plain else f"({x})" for n, x in texts.items()})
