"""How many digits: enough to show the first movements, and that each line follows from what is put in."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.explain.forms.numerals import Numerals
from surefoot.explain.problem.evaluate import evaluate
from surefoot.explain.problem.readings import numbers
from surefoot.rules.numbers import to_mpmath
from surefoot.trace import Trace
from surefoot.trace.values import Number, Value, elements

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem
    from surefoot.explain.worked import Line, Tensor

__all__ = ["MOST", "choose", "hides", "shown", "to_follow"]

MOST = 6  # elements that are written; of more, the first three and the last
# how many digits more are tried, so that a line follows from the numbers that are put in
_TRIES = (*range(10), 12, 15, 20, 30)
_RELATIONS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


def choose(traces: Sequence[Trace], digits: int | None, exact: bool) -> Numerals:
    """Choose how numbers are written: as the user wants them, or so that the first movements show."""
    if digits is not None:
        return Numerals(digits, exact, scaled=digits)
    return Numerals(exact=exact, significant=3).showing(_movements(traces))


def hides(numerals: Numerals, traces: Sequence[Trace]) -> bool:
    """Whether a first movement is too small to be seen, although the digits were chosen to show it."""
    if numerals.exact or not numerals.significant:
        return False
    return any(x != y and numerals.rounded(x) == numerals.rounded(y) for x, y in _movements(traces))


def _movements(traces: Sequence[Trace]) -> Iterator[tuple[Number, Number]]:
    for moment in (trace.steps[0] for trace in traces if trace.steps):
        for name in moment.w:
            yield from zip(elements(moment.before[name]), elements(moment.w[name]), strict=True)


def to_follow(line: Line, tensor: Tensor, problem: Problem | None, numerals: Numerals) -> Numerals:
    """Return how to write what is put into a line, so that its result can be worked out from it.

    From v = 0.0005 one has v / (1 − 0.999²) = 0.2501; from 0.0004998, the 0.2500 that is right.

    Args:
        line: the line.
        tensor: the tensor that it is of.
        problem: f, for the line of a gradient.
        numerals: how results are written.

    Returns:
        `numerals`, with as few more digits as serve.
    """
    if numerals.exact:
        return numerals
    import mpmath

    wanted = [(i, x, numerals.rounded(x)) for i, x in shown(line.value)]
    with mpmath.workdps(50):
        for more in _TRIES:
            finer = numerals.finer(more)
            try:
                work = _line(line, finer) if line.equation else _slope(tensor, problem, finer)
                if all(_same(numerals, work(i), x, text) for i, x, text in wanted):
                    return finer
            except (ArithmeticError, ValueError, TypeError):
                return numerals  # not finite, or a function that is not known here
    return numerals


def shown(value: Value, start: int = 0) -> Iterator[tuple[int, Number]]:
    """Yield the elements that are written of a value, each after its place."""
    if not isinstance(value, tuple):
        yield start, value
        return
    size = sum(1 for _ in elements(value)) // max(len(value), 1)
    for k in range(len(value)) if len(value) <= MOST else (0, 1, 2, len(value) - 1):
        yield from shown(value[k], start + k * size)


def _same(numerals: Numerals, got: Number, value: Number, text: str) -> bool:
    """Whether what was worked out rounds as the result does; a half goes either way by the 50th digit."""
    nearly = (got, got + abs(value) * 1e-40, got - abs(value) * 1e-40)
    return any(numerals.rounded(x) == text for x in nearly)


def _line(line: Line, finer: Numerals) -> Callable[[int], Number]:
    """Return what works out an element of a rule's line, from the numbers as they are written."""
    assert line.equation is not None
    right = line.equation.right
    written: dict[str, tuple[Callable[[Number], str], list[Number]]] = {}
    for name in (x.name for x in right.free_symbols):
        fixed = name in line.scalars and not name.endswith(("ₜ", "ₜ₋₁"))
        written[name] = finer.setting if fixed else finer.put_in, list(elements(line.known[name]))

    def work(i: int) -> Number:
        return _value(right, {n: _read(write(xs[i * (len(xs) > 1)])) for n, (write, xs) in written.items()})

    return work


def _slope(tensor: Tensor, problem: Problem | None, finer: Numerals) -> Callable[[int], Number]:
    """The same for an element of the gradient."""
    assert problem is not None
    flat = {n: [_read(finer.put_in(x)) for x in elements(v)] for n, v in tensor.point.items()}
    reading, trees = numbers(to_mpmath), problem.slope_trees[tensor.name]
    return lambda i: evaluate(trees[i], flat, reading)[0]


def _read(text: str) -> Number:
    import mpmath

    return to_mpmath(Fraction(text)) if "/" in text else mpmath.mpf(text)


def _value(e: Any, known: Mapping[str, Number]) -> Any:
    """Work out a formula of sympy's on mpmath's numbers."""
    import mpmath

    if e.is_Symbol:
        return known[e.name]
    if e.is_Rational:
        return mpmath.mpf(int(e.p)) / int(e.q)
    if e.is_Number:
        return mpmath.mpf(str(e))
    if e.is_Piecewise:
        return next(_value(v, known) for v, c in e.args if c == True or _value(c, known))  # noqa: E712
    args = [_value(x, known) for x in e.args]
    if e.is_Relational:
        return _RELATIONS[e.rel_op](*args)
    if e.is_Add:
        return sum(args)
    if e.is_Mul:
        return math.prod(args)
    if e.is_Pow:
        return args[0] ** args[1]
    name = type(e).__name__
    function: Any = {"Abs": abs, "Max": max, "Min": min}.get(name) or getattr(mpmath, name, None)
    return function(*args)
