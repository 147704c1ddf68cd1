"""A problem to minimise: an expression and where it starts; its values and gradients, exact and checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem import derivatives, formula
from surefoot.explain.problem.evaluate import evaluate
from surefoot.explain.problem.node import ROUNDED, Node, bends, is_exact, names
from surefoot.explain.problem.readings import grid, numbers
from surefoot.explain.problem.slopes import settled, slopes_at
from surefoot.explain.problem.symbols import symbols
from surefoot.trace.values import Number, Shape, Value, build, elements, shape

__all__ = ["SIZE", "Problem"]

SIZE = 100  # numbers in all variables together: more are not worked out by hand, and take sympy seconds


@dataclass(frozen=True)
class Problem:
    """A function of named tensors, with its start; made by `parse`.

    Args:
        tree: the expression.
        start: name → start value, in fractions.
        fixed: name → value, in fractions, of what f has too, but no step changes: data.
    """

    tree: Node
    start: Mapping[str, Value]
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Short: f, and of what."""
        return f"<Problem f = {self.text}, a function of {', '.join(self.names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that steps change, in the order of `at`."""
        return tuple(self.start)

    @property
    def text(self) -> str:
        """The expression as it was given."""
        return self.tree.text

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of each variable, then of what is fixed."""
        return {name: shape(value) for name, value in self.everything(self.start).items()}

    def everything(self, point: Mapping[str, Value]) -> dict[str, Value]:
        """Return a point with what is fixed."""
        return {**point, **self.fixed}

    @cached_property
    def exact(self) -> bool:
        """Whether fractions suffice: no roots, exponentials, logarithms or angles."""
        return is_exact(self.tree)

    def value(self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = Fraction) -> Number:
        """Return f at a point.

        Args:
            point: name → value, of the shapes of `start`, in fractions or in what `number` makes.
            number: makes a constant of f a number: Fraction, float, or a function to mpmath numbers.

        Returns:
            f, in those numbers.

        Raises:
            InputError: f has no value there (the part is named), or no exact one and `number` is Fraction.
        """
        self._check_kind(number)

        def work() -> list[Number]:
            return evaluate(self.tree, self._flat(point, number), numbers(number))

        if hasattr(number(Fraction(1)), "man_exp"):
            return settled(work, self.tree, self._flat(point, number))[0]
        return work()[0]

    def gradient(
        self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = Fraction
    ) -> dict[str, Value]:
        """Return ∇f at a point: sympy's derivative, each time checked against dual numbers.

        Floats are worked out to 50 digits and then rounded. At a kink the slope is torch's: 0 for abs, relu
        and norm at 0, half of each for max of equal numbers.

        Args:
            point: name → value, of the shapes of `start`, in fractions or in what `number` makes.
            number: makes a constant a number: Fraction, float, or a function to mpmath numbers.

        Returns:
            name → gradient, of the variable's shape.

        Raises:
            InputError: f or its derivative has no value there, or no exact one and `number` is Fraction.
        """
        self._check_kind(number)
        slopes = slopes_at(self.tree, self.slope_trees, lambda n: self._flat(point, n), number)
        return {name: build(self.shapes[name], slopes[name]) for name in self.names}

    def kinks(self, point: Mapping[str, Value], number: Callable[[Fraction], Number]) -> list[Node]:
        """Return the parts of f that have a kink at a point, for which `gradient` takes torch's slope."""
        flat, reading = self._flat(point, number), numbers(number)

        def bent(part: Node) -> bool:
            values = [evaluate(arg, flat, reading) for arg in part.args]
            if part.op == "norm":
                return not any(values[0])
            size = max(map(len, values))
            x, *other = (v * size if len(v) < size else v for v in values)
            return any(map(operator.eq, x, other[0] if other else [0] * size))

        stepped = set(self.names)
        found = (part for part in bends(self.tree) if names(part) & stepped and bent(part))
        return list({part.text: part for part in found}.values())

    def on_grid(self, point: Mapping[str, Value]) -> Any:
        """Return f at many points: each number of the point is a NumPy array; NaN where f is undefined."""
        import numpy as np

        with np.errstate(all="ignore"):
            return evaluate(self.tree, self._flat(point, float), grid())[0]

    def hessian(self) -> tuple[tuple[Fraction, ...], ...] | None:
        """Return the matrix of second derivatives if it is the same everywhere (f is quadratic), else None.

        Rows and columns: the variables in order, each row by row.

        Example:
            >>> from surefoot.explain.problem.parse import parse
            >>> parse("x**2 + x*y", {"x": 1, "y": 1}).hessian()
            ((Fraction(2, 1), Fraction(1, 1)), (Fraction(1, 1), Fraction(0, 1)))
        """
        from surefoot.explain.problem.polynomial import hessian

        sizes = {name: math.prod(self.shapes[name]) for name in self.names}
        return hessian(self.tree, sizes, {name: list(elements(x)) for name, x in self.fixed.items()})

    def latex(self) -> str:
        """Return f as LaTeX, in elements: mean(a**2) is a mean over i of a_i²."""
        return formula.latex(self.tree)

    def gradient_latex(self) -> dict[str, str]:
        r"""Return each variable's gradient as LaTeX, for a whole array at once where its elements are alike.

        Example:
            >>> from surefoot.explain.problem.parse import parse
            >>> print(parse("mean(3*a**3)", {"a": [2, 3]}).gradient_latex()["a"])
            \frac{\partial f}{\partial a} = \frac{9 a^{2}}{2}
        """
        return {name: derivatives.slope_latex(name, self._symbols, self._slopes[name]) for name in self.names}

    def gradient_text(self) -> dict[str, str]:
        """Return each variable's gradient as plain text.

        Example:
            >>> from surefoot.explain.problem.parse import parse
            >>> print(parse("mean(3*a**3)", {"a": [2, 3]}).gradient_text()["a"])
            ∂f/∂a = 9*a**2/2
        """
        return {name: derivatives.slope_text(name, self._symbols, self._slopes[name]) for name in self.names}

    def numbers_latex(self, name: str, written: Mapping[str, str]) -> str:
        """Return a variable's gradient, where it is one formula, as LaTeX with values put in as written."""
        return derivatives.slope_numbers_latex(name, self._symbols, self._slopes[name], written)

    @cached_property
    def _symbols(self) -> dict[str, list[Any]]:
        return derivatives.make_symbols(self.shapes)

    @cached_property
    def _slopes(self) -> dict[str, list[Any]]:
        """The partial derivatives in sympy; what is fixed is put in where they are no one formula."""
        import sympy

        stepped = {name: self._symbols[name] for name in self.names}
        held = {
            n: [sympy.Rational(x.numerator, x.denominator) for x in elements(v)]
            for n, v in self.fixed.items()
        }
        many = sum(map(len, held.values())) > SIZE
        f = evaluate(self.tree, {**self._symbols, **held} if many else self._symbols, symbols())[0]
        slopes = derivatives.differentiate(f, stepped)
        known = {s: x for n, row in held.items() for s, x in zip(self._symbols[n], row, strict=True)}
        return {
            name: row
            if derivatives.alike(name, self._symbols, row) is not None
            else [d.xreplace(known) for d in row]
            for name, row in slopes.items()
        }

    @cached_property
    def slope_trees(self) -> dict[str, list[Node]]:
        """The partial derivatives, as expressions of our own, to be read on any kind of number."""
        return derivatives.trees(self._symbols, self._slopes)

    def _flat(
        self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = Fraction
    ) -> dict[str, list[Number]]:
        """Take a point apart, its fractions made numbers of the kind that is meant."""
        point = self.everything(point)
        for name, expected in self.shapes.items():
            if name not in point:
                raise InputError(f"The point has no value for {name!r}.")
            if (got := shape(point[name], name)) != expected:
                raise InputError(f"{name!r} has shape {got} here, but started with {expected}.")
        return {
            name: [
                number(Fraction(x)) if isinstance(x, (int, Fraction)) else x for x in elements(point[name])
            ]
            for name in self.shapes
        }

    def _check_kind(self, number: Callable[[Fraction], Number]) -> None:
        if number is Fraction and not self.exact:
            raise InputError(f"f = {self.text} has no exact value in fractions, since it has {ROUNDED}.")
