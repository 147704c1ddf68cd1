"""A quadratic, known by its curvatures: where a method is stable on it, how fast, its best lr and momentum.

On f = ½ Σ hᵢxᵢ² each direction goes its own way; roots.py says how.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError
from surefoot.explain.problem.problem import Problem
from surefoot.explain.quadratic.roots import characteristic, radius, stable
from surefoot.explain.quadratic.tuning import Tuning, best_momentum, best_settings
from surefoot.rules import H, Rule
from surefoot.rules.numbers import to_mpmath
from surefoot.trace.values import elements, exact, shape

__all__ = ["Quadratic", "in_range"]

_LARGE = 16  # directions; for more, floats do


@dataclass(frozen=True)
class Quadratic:
    """A quadratic, known by the curvatures of its directions: the eigenvalues of its Hessian, ascending.

    Args:
        curvatures: one for each direction.
        sloped: whether it falls, at a constant slope, along a direction without curvature.

    Example:
        >>> bowl = Quadratic((1, 100))
        >>> bowl.condition, round(bowl.rate(lr=0.01, momentum=0.9), 4)
        (100.0, 0.9487)
        >>> bowl.stable(lr=0.01), bowl.stable(lr=0.03), bowl.stable(lr=0.03, momentum=0.9)
        (True, False, True)
    """

    curvatures: tuple[Any, ...]
    sloped: bool = False

    def __post_init__(self) -> None:
        try:
            given = tuple(self.curvatures)
            bad = [x for x in given if isinstance(x, (str, bool)) or x - x != 0]
        except TypeError:
            given, bad = (), [self.curvatures]
        if bad:
            raise InputError(f"Curvatures must be finite numbers, as in (1, 20), but one is {bad[0]!r}.")
        if not given:
            raise InputError("A quadratic requires at least one curvature.")
        object.__setattr__(self, "curvatures", tuple(sorted(given)))

    @classmethod
    def of(cls, problem: Problem) -> Quadratic | None:
        """Return the quadratic that f is; None if its second derivatives vary, or are beyond 10^±100."""
        if not problem.exact:  # x**(2 + 0·y) has a Hessian of fractions, but no gradient in them
            return None
        hessian = problem.hessian()
        if not hessian:
            return None
        if not in_range(x for row in hessian for x in row):
            return None
        curvatures = cls.of_matrix(hessian).curvatures
        if 0 not in curvatures:
            return cls(curvatures)
        # ∇f = Hx + c; if it is H times something, at any x, then f is level wherever it is flat
        slopes = problem.gradient(problem.start)
        column = [x for name in problem.names for x in elements(slopes[name])]
        beside = [[*row, x] for row, x in zip(hessian, column, strict=True)]
        return cls(curvatures, sloped=_rank(beside) > _rank(hessian))

    @classmethod
    def of_matrix(cls, hessian: Sequence[Sequence[Any]]) -> Quadratic:
        """Return ½ xᵀHx.

        Args:
            hessian: a symmetric n × n matrix.

        Returns:
            The quadratic; its curvatures are the eigenvalues of H.

        Raises:
            InputError: it is not square, or not symmetric.

        Example:
            >>> Quadratic.of_matrix([[2, 1], [1, 2]]).curvatures
            (1.0, 3.0)
        """
        h = exact(hessian, "the Hessian")
        if len(size := shape(h)) != 2 or size[0] != size[1]:
            raise InputError(f"A Hessian must be square, but it has shape {size}.")
        if odd := next(((i, j) for i, row in enumerate(h) for j in range(i) if row[j] != h[j][i]), None):
            i, j = odd
            raise InputError(
                f"A Hessian must be symmetric, but H[{i}][{j}] is {float(h[i][j]):.6g} and H[{j}][{i}] "
                f"is {float(h[j][i]):.6g}."
            )
        if all(h[i][j] == 0 for i in range(len(h)) for j in range(i)):
            return cls(tuple(h[i][i] for i in range(len(h))))
        values = sorted(_eigenvalues(h), key=abs)
        if len(h) > _LARGE or any(isinstance(x, float) for row in hessian for x in row):
            noise = 1e-12 * abs(values[-1])  # what is flat but for rounding is flat
            return cls(tuple(0.0 if abs(x) < noise else x for x in values))
        flat = len(h) - _rank(h)  # known exactly, where an eigenvalue comes out as ±1e-17
        return cls((*[0.0] * flat, *values[flat:]))

    @property
    def smallest(self) -> float:
        """The smallest curvature of a direction that is not flat."""
        return float(min((x for x in self.curvatures if x != 0), default=0))

    @property
    def largest(self) -> float:
        """The largest curvature."""
        return float(self.curvatures[-1])

    @property
    def convex(self) -> bool:
        """Whether there is a minimum to go to: no curvature is negative, one positive, what is flat level."""
        return self.curvatures[0] >= 0 and self.largest > 0 and not self.sloped

    @property
    def condition(self) -> float:
        """The condition number κ, largest over smallest curvature: infinite if f is flat in a direction.

        NaN where f has no minimum.
        """
        if not self.convex:
            return math.nan
        return self.largest / self.smallest if self.curvatures[0] else math.inf

    def stable(self, lr: Any, momentum: Any = 0, *, nesterov: bool = False) -> bool:
        """Return whether every direction that is not flat goes to its minimum; exact on fractions."""
        return all(
            stable(*characteristic(lr, momentum, x, nesterov=nesterov)) for x in self.curvatures if x != 0
        )

    def rate(self, lr: Any, momentum: Any = 0, *, nesterov: bool = False) -> Any:
        """Return by what each step multiplies the error in the end; lr and momentum may be arrays."""
        rates = [
            radius(*characteristic(lr, momentum, float(x), nesterov=nesterov)) for x in self.curvatures if x
        ]
        return functools.reduce(_larger, rates) if rates else 1.0

    def best(self) -> tuple[Tuning, ...]:
        """Return for each method the lr and momentum that make its rate smallest, worst method first.

        gradient descent  lr = 2/(L + m)          μ = 0                            rate (κ − 1)/(κ + 1)
        Nesterov          lr = 4/(3L + m)         μ = (√(3κ+1) − 2)/(√(3κ+1) + 2)  rate 1 − 2/√(3κ+1)
        heavy ball        lr = 4/(√L + √m)²       μ = ((√κ − 1)/(√κ + 1))²         rate (√κ − 1)/(√κ + 1)

        with L the largest curvature, m the smallest that is not 0, and κ = L/m.

        Raises:
            InputError: there is no minimum.
        """
        if not self.convex:
            raise InputError(f"There is no best lr: f has no minimum, its curvatures are {self.span()}.")
        return best_settings(self.smallest, self.largest)

    def best_momentum(self, lr: Any, *, nesterov: bool = False) -> Tuning:
        """Return the momentum whose rate is smallest with this lr.

        Args:
            lr: the learning rate.
            nesterov: whether it is Nesterov's momentum; otherwise it is the classical one, the heavy ball's.

        Returns:
            The lr, the momentum, and their rate.

        Raises:
            InputError: there is no minimum, or no momentum with which this lr is stable.

        Example:
            >>> best = Quadratic((1, 20)).best_momentum(lr=0.05)
            >>> round(best.momentum, 4), round(best.rate, 4)
            (0.6028, 0.7764)
        """
        if not self.convex:
            raise InputError(
                f"There is no best momentum: f has no minimum, with its curvatures {self.span()}."
            )
        try:
            number = float(lr)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"lr is {lr!r}; it must be a number.") from None
        found = best_momentum(number, self.smallest, self.largest, nesterov=nesterov)
        if found is None:
            most = (2 if nesterov else 4) / self.largest
            raise InputError(f"lr is {lr}; only an lr between 0 and {most:.4g} is stable with some momentum.")
        return found

    def report(self, rule: Rule, h: H) -> list[str]:
        """Return what is known about a rule here, as lines of text; see theory.report."""
        from surefoot.explain.quadratic import theory

        return theory.report(self, rule, h)

    def span(self) -> str:
        """Return the curvatures in a few words."""
        low, high = float(self.curvatures[0]), self.largest
        least, most = (f"{'−' * (x < 0)}{abs(x):.4g}" for x in (low, high))
        if len(set(self.curvatures)) > 2:
            return f"{least} to {most}"
        return least if low == high else f"{least} and {most}"


def in_range(numbers: Iterable[Any]) -> bool:
    """Return whether floats serve for numbers and for what is made of a few of them."""
    return all(1e-100 < abs(x) < 1e100 for x in numbers if x)


def _eigenvalues(h: Sequence[Sequence[Fraction]]) -> list[float]:
    """Return the eigenvalues of a symmetric matrix; unless it is large, to a float's last digit."""
    if len(h) > _LARGE:
        import numpy as np

        return [float(x) for x in np.linalg.eigvalsh(np.array([[float(x) for x in row] for row in h]))]
    import mpmath

    with mpmath.workdps(60):
        exactly = mpmath.matrix([[*map(to_mpmath, row)] for row in h])
        return [float(x) for x in mpmath.eigsy(exactly, eigvals_only=True)]


def _rank(rows: Sequence[Sequence[Fraction]]) -> int:
    """Return the rank of a matrix, by elimination."""
    left, rank = [list(row) for row in rows], 0
    for column in range(len(left[0])):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        left.remove(pivot)
        left = [
            [x - row[column] / pivot[column] * p for x, p in zip(row, pivot, strict=True)] for row in left
        ]
        rank += 1
    return rank


def _larger(x: Any, y: Any) -> Any:
    if isinstance(x, float) and isinstance(y, float):
        return max(x, y)
    import numpy as np

    return np.maximum(x, y)
