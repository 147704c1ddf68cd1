"""A problem read from what a person gives: the expression, where its variables start, what is fixed."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.derivatives import symbol_latex
from surefoot.explain.problem.expression import read
from surefoot.explain.problem.node import names
from surefoot.explain.problem.problem import SIZE, Problem
from surefoot.trace.values import Value, elements, exact, shape

__all__ = ["parse"]

_DATA = 1000  # numbers in all that is fixed


def parse(f: str, at: Mapping[str, Any], fixed: Collection[str] = ()) -> Problem:
    """Read a problem: a formula in named tensors, and where they start.

    Args:
        f: the expression; see `surefoot.explain.problem.expression.read` for what it may have.
        at: name → start value: a number, nested lists, or anything with `tolist`; 0.1 is taken as 1/10.
        fixed: names of `at` that no step changes.

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
        raise InputError("No start values are given; give each variable of f one, such as w=1.")
    # Python reads each name in one normal form: µ, the micro sign of many keyboards, becomes the Greek μ
    start: dict[str, Value] = {}
    for given, value in at.items():
        name = unicodedata.normalize("NFKC", str(given))
        if name in start:
            raise InputError(
                f"{name} has two start values, since Python treats {given!r} as the same name; give one."
            )
        start[name] = exact(value, given)
    for name, value in start.items():
        if not all(isinstance(x, Fraction) for x in elements(value)):
            raise InputError(f"The start value of {name} is not finite; give finite numbers.")
    shapes = {name: shape(value, name) for name, value in start.items()}
    _check_names(shapes)
    held = {unicodedata.normalize("NFKC", name) for name in fixed}
    if held >= shapes.keys():
        raise InputError(f"All of {', '.join(shapes)} is fixed; leave a variable for the steps to change.")
    sizes = {n: math.prod(size) for n, size in shapes.items()}
    count = sum(size for n, size in sizes.items() if n not in held)
    if count > SIZE:
        raise InputError(f"The variables have {count} numbers in all; at most {SIZE} are allowed.")
    if (data := sum(sizes.values()) - count) > _DATA:
        raise InputError(f"The fixed arrays have {data} numbers in all; at most {_DATA} are allowed.")
    if not isinstance(f, str):
        raise InputError(f"f must be an expression as text, such as 'mean(a**2)', but it is {f!r}.")
    tree = read(f, shapes)
    if tree.shape:
        raise InputError(f"f must be one number, but it has shape {tree.shape}; take its mean(…) or sum(…).")
    for name in shapes:
        if name not in names(tree):
            has = "is fixed" if name in held else "has a start value"
            raise InputError(f"{name!r} {has}, but does not occur in f = {tree.text}.")
    stepped = {name: value for name, value in start.items() if name not in held}
    return Problem(tree, stepped, {name: value for name, value in start.items() if name in held})


def _check_names(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse names that are one in LaTeX: x1, x_1 and the first element of x all have an index there."""
    seen: dict[str, str] = {}
    for name, size in shapes.items():
        for i in range(size[0] if len(size) == 1 else 0):
            seen[symbol_latex(f"{name}[{i}]")] = f"element {i + 1} of {name}"
    for name in shapes:
        written = symbol_latex(name)
        if written in seen:
            raise InputError(f"{name} and {seen[written]} would be written the same; rename one of them.")
        seen[written] = name
