"""The gradient found twice, by sympy's derivatives and by dual numbers, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.dual import Dual, dual
from surefoot.explain.problem.evaluate import evaluate
from surefoot.explain.problem.node import Node, constants
from surefoot.explain.problem.readings import numbers
from surefoot.rules.numbers import to_mpmath
from surefoot.trace.values import Number

__all__ = ["settled", "slopes_at"]

Make = Callable[[Fraction], Number]
Flat = Mapping[str, list[Number]]  # name → elements, row by row


def slopes_at(
    tree: Node, derivatives: Mapping[str, Sequence[Node]], point: Callable[[Make], Flat], number: Make
) -> dict[str, list[Number]]:
    """Return the partial derivatives at a point.

    Args:
        tree: the function.
        derivatives: name → ∂f/∂x for each element x, as expressions.
        point: gives the point in a kind of number.
        number: makes the numbers wanted of fractions. Floats are worked out to 50 digits, then rounded.

    Returns:
        name → slopes, row by row.

    Raises:
        InputError: f or its derivative has no value there.
    """
    names = [(name, i) for name, row in derivatives.items() for i in range(len(row))]
    sample = number(Fraction(1))
    if isinstance(sample, float) or hasattr(sample, "man_exp"):
        found = settled(
            lambda: _both(tree, derivatives, _finite(point(to_mpmath)), to_mpmath), tree, point(to_mpmath)
        )
    else:
        found = _both(tree, derivatives, point(number), number, check=isinstance(sample, Fraction))
    slopes, carried = found[: len(names)], found[len(names) :]
    for (name, i), one, other in zip(names, slopes, carried, strict=False):
        _check_agree(f"∂f/∂{name}[{i}]", one, other, tree.text)
    if isinstance(sample, float):
        slopes = [float(x) for x in slopes]
    left = iter(slopes)
    return {name: [next(left) for _ in row] for name, row in derivatives.items()}


def settled(work: Callable[[], list[Number]], tree: Node, flat: Flat) -> list[Number]:
    """Return numbers worked out to 50 digits, or to as many more as it takes until they stand.

    (w + 1)² − (w − 1)² at w = 10²⁰⁰ is 0 to 50 digits, and 4·10²⁰⁰.

    Args:
        work: works them out, in mpmath's numbers.
        tree: what is worked out, and
        flat: where; the digits of the largest number in them say beside how many a 1 may be lost.
    """
    import mpmath

    least = max(50, mpmath.mp.dps)
    sizes = [mpmath.mag(x) for xs in flat.values() for x in xs if mpmath.isfinite(x) and x]
    lost = int(0.31 * max([0, *sizes, *(x.numerator.bit_length() for x in constants(tree))]))
    with mpmath.workdps(least):
        before = work()
    for digits in (2 * (least + lost), 10 * (least + lost)):
        with mpmath.workdps(digits):
            now = work()
        if all(map(_close, before, now)):
            break
        before = now
    with mpmath.workdps(least):
        return [+x for x in before]


def _both(
    tree: Node, derivatives: Mapping[str, Sequence[Node]], flat: Flat, number: Make, *, check: bool = True
) -> list[Number]:
    """Return the partial derivatives in one kind of number; with `check`, then those found the other way."""
    reading: Any = numbers(number)
    carried = []
    if check:  # first, since this way names the part of f that has no derivative
        one = number(Fraction(1))
        seeds = {
            name: [Dual(x, {(name, i): one} if name in derivatives else {}) for i, x in enumerate(xs)]
            for name, xs in flat.items()
        }
        found = evaluate(tree, seeds, dual(reading))[0].slopes
        zero = number(Fraction(0))
        carried = [found.get((name, i), zero) for name, row in derivatives.items() for i in range(len(row))]
    return [evaluate(d, flat, reading)[0] for row in derivatives.values() for d in row] + carried


def _finite(flat: Flat) -> Flat:
    """Return a point in mpmath's numbers; refuse one that has run away."""
    import mpmath

    fine = {name: [mpmath.mpf(x) for x in xs] for name, xs in flat.items()}
    for name, xs in fine.items():
        if not all(mpmath.isfinite(x) for x in xs):
            raise InputError(f"{name} is no longer finite.")
    return fine


def _close(one: Number, other: Number) -> bool:
    return bool(abs(one - other) <= (1 + abs(one)) * 1e-20)


def _check_agree(what: str, one: Number, other: Number, text: str) -> None:
    """Raise if two ways to one derivative part: on fractions at all, else beyond 20 of 50 digits."""
    if not (one == other if isinstance(one, Fraction) else _close(one, other)):
        raise AssertionError(
            f"{what} of f = {text}: sympy gives {one}, dual numbers {other}. Please report this."
        )
