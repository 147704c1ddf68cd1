"""A problem to minimise: an expression and where to start; its values and gradients, exact and checked."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem import derivatives, formula
from surefoot.explain.problem.evaluate import evaluate
from surefoot.explain.problem.expression import read
from surefoot.explain.problem.node import Node, absolutes, is_exact, names
from surefoot.explain.problem.readings import grid, numbers, symbols
from surefoot.explain.problem.slopes import settled, slopes_at
from surefoot.trace.values import Number, Shape, Value, build, elements, exact, shape

__all__ = ["Problem", "parse"]

SIZE = 100  # numbers in all variables together: more are not worked out by hand, and take sympy seconds


def parse(f: str, at: Mapping[str, Any]) -> Problem:
    """Read a problem: a formula in named tensors, and where they start.

    Args:
        f: the expression; see `surefoot.explain.problem.expression.read` for what it may have.
        at: name → start value: a number, nested lists, or anything with `tolist`; 0.1 is taken as 1/10.

    Returns:
        The problem.

    Raises:
        InputError: f does not parse, does not give one number, or does not fit `at`.

    Example:
        >>> lecture = parse("mean(3*a**3 - b**2)", {"a": [2, 3], "b": [6, 4]})
        >>> float(lecture.value(lecture.start))
        26.5
        >>> lecture.gradient(lecture.start)["a"]
        (Fraction(18, 1), Fraction(81, 2))
    """
    if not at:
        raise InputError("There is nothing to start at; give each variable of f a value, such as w=1.")
    # Python reads each name in one normal form: µ, the micro sign of many keyboards, becomes the Greek μ
    start: dict[str, Value] = {}
    for given, value in at.items():
        name = unicodedata.normalize("NFKC", str(given))
        if name in start:
            raise InputError(f"{name} has two start values: to Python {given!r} is the same name; give one.")
        start[name] = exact(value, given)
    for name, value in start.items():
        if not all(isinstance(x, Fraction) for x in elements(value)):
            raise InputError(f"{name} starts at a value that is not finite; give plain numbers.")
    shapes = {name: shape(value, name) for name, value in start.items()}
    _check_names(shapes)
    count = sum(map(math.prod, shapes.values()))
    if count > SIZE:
        raise InputError(
            f"The variables have {count} numbers in all; {SIZE} are the most that are worked out."
        )
    if not isinstance(f, str):
        raise InputError(f"f must be an expression as text, such as 'mean(a**2)', but it is {f!r}.")
    tree = read(f, shapes)
    if tree.shape:
        raise InputError(f"f must be one number, but it has shape {tree.shape}; take its mean(…) or sum(…).")
    for name in shapes:
        if name not in names(tree):
            raise InputError(f"{name!r} has a start value, but f does not have it: f = {tree.text}.")
    return Problem(tree, start)


def _check_names(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse names that are one in LaTeX: x1, x_1 and the first element of x all have an index there."""
    seen: dict[str, str] = {}
    for name, size in shapes.items():
        for i in range(size[0] if len(size) == 1 else 0):
            seen[derivatives.symbol_latex(f"{name}[{i}]")] = f"element {i + 1} of {name}"
    for name in shapes:
        written = derivatives.symbol_latex(name)
        if written in seen:
            raise InputError(
                f"{name} and {seen[written]} would be written alike; call one of them otherwise."
            )
        seen[written] = name


@dataclass(frozen=True)
class Problem:
    """A function of named tensors, with its start; made by `parse`.

    Args:
        tree: the expression.
        start: name → start value, in fractions.
    """

    tree: Node
    start: Mapping[str, Value]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, in the order of `at`."""
        return tuple(self.start)

    @property
    def text(self) -> str:
        """The expression as it was given."""
        return self.tree.text

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of each variable."""
        return {name: shape(value) for name, value in self.start.items()}

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

        Floats are worked out to 50 digits and then rounded. The derivative of abs at 0 is 0, as in torch.

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

    def corners(self, point: Mapping[str, Value], number: Callable[[Fraction], Number]) -> list[str]:
        """Return the parts of f that have a corner at a point, where their slope is taken to be 0."""
        flat, reading = self._flat(point, number), numbers(number)
        return list(
            dict.fromkeys(
                part.text
                for part in absolutes(self.tree)
                if names(part) and 0 in evaluate(part.args[0], flat, reading)
            )
        )

    def on_grid(self, point: Mapping[str, Value]) -> Any:
        """Return f at many points: each number of the point is a NumPy array; NaN where f is undefined."""
        import numpy as np

        with np.errstate(all="ignore"):
            return evaluate(self.tree, self._flat(point), grid())[0]

    def hessian(self) -> tuple[tuple[Fraction, ...], ...] | None:
        """Return the matrix of second derivatives if it is the same everywhere (f is quadratic), else None.

        Rows and columns: the variables in order, each row by row.

        Example:
            >>> parse("x**2 + x*y", {"x": 1, "y": 1}).hessian()
            ((Fraction(2, 1), Fraction(1, 1)), (Fraction(1, 1), Fraction(0, 1)))
        """
        from surefoot.explain.problem.polynomial import hessian

        return hessian(self.tree, {name: math.prod(size) for name, size in self.shapes.items()})

    def latex(self) -> str:
        """Return f as LaTeX, in elements: mean(a**2) is a mean over i of a_i²."""
        return formula.latex(self.tree)

    def gradient_latex(self) -> dict[str, str]:
        r"""Return each variable's gradient as LaTeX, for a whole array at once where its elements are alike.

        Example:
            >>> print(parse("mean(3*a**3)", {"a": [2, 3]}).gradient_latex()["a"])
            \frac{\partial f}{\partial a} = \frac{9 a^{2}}{2}
        """
        return {name: derivatives.slope_latex(name, self._symbols, self._slopes[name]) for name in self.names}

    def gradient_text(self) -> dict[str, str]:
        """Return each variable's gradient as plain text.

        Example:
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
        """The partial derivatives in sympy."""
        return derivatives.differentiate(evaluate(self.tree, self._symbols, symbols())[0], self._symbols)

    @cached_property
    def slope_trees(self) -> dict[str, list[Node]]:
        """The partial derivatives, as expressions of our own, to be read on any kind of number."""
        return derivatives.trees(self._symbols, self._slopes)

    def _flat(
        self, point: Mapping[str, Value], number: Callable[[Fraction], Number] = Fraction
    ) -> dict[str, list[Number]]:
        """Take a point apart, its fractions made numbers of the kind that is meant."""
        for name, expected in self.shapes.items():
            if name not in point:
                raise InputError(f"The point has no value for {name!r}.")
            if (got := shape(point[name], name)) != expected:
                raise InputError(f"{name!r} has shape {got} here, but started with {expected}.")
        return {
            name: [
                number(Fraction(x)) if isinstance(x, (int, Fraction)) else x for x in elements(point[name])
            ]
            for name in self.names
        }

    def _check_kind(self, number: Callable[[Fraction], Number]) -> None:
        if number is Fraction and not self.exact:
            raise InputError(
                f"f = {self.text} has no exact value in fractions, since it has roots, exp, log, sin or cos."
            )
