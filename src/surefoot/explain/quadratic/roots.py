"""A step of momentum on one direction of a quadratic, as a matrix: whether it is stable, and how fast.

A step of a linear rule is a matrix on (x, buffer). In the end each step multiplies the error by the matrix's
spectral radius ρ; the rule is stable where ρ < 1. With c = 1 − lr·h, ρ is the larger root, in absolute value,
of

    z² − (c + μ)z + μ = 0       classical momentum, heavy ball, torch;  stable: 0 < lr·h < 2(1 + μ)
    z² − (1 + μ)c z + μc = 0    Nesterov;                               stable: 0 < lr·h < 2(1 + μ)/(1 + 2μ)

Classical momentum must have μ < 1 as well; Nesterov with μ > 1 is stable from lr·h > 1 − 1/μ on.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from surefoot.rules.numbers import to_mpmath

__all__ = ["characteristic", "gap", "radius", "stable"]


def characteristic(lr: Any, momentum: Any, curvature: Any, *, nesterov: bool = False) -> tuple[Any, Any]:
    """Return the trace t and determinant d of a step's matrix: its eigenvalues solve z² − tz + d = 0."""
    c = 1 - lr * curvature
    return ((1 + momentum) * c, momentum * c) if nesterov else (c + momentum, momentum)


def stable(trace: Any, determinant: Any) -> bool:
    """Return whether both roots of z² − tz + d lie inside the unit circle: Jury's test, without the roots."""
    return bool(abs(determinant) < 1 and abs(trace) < 1 + determinant)


def radius(trace: Any, determinant: Any) -> Any:
    """Return the larger root of z² − tz + d in absolute value; of arrays too.

    Example:
        >>> radius(1.5, 0.5), radius(0.0, 0.25)
        (1.0, 0.5)
    """
    if isinstance(trace, (int, float, Fraction)) and isinstance(determinant, (int, float, Fraction)):
        large = abs(float(trace))
        if large > 1e150:  # no float holds its square, beside which the rest is nothing
            return large
        square = float(trace * trace - 4 * determinant)
        return math.sqrt(determinant) if square < 0 else (abs(float(trace)) + math.sqrt(square)) / 2
    import numpy as np

    square = trace * trace - 4 * determinant
    real = (abs(trace) + np.sqrt(np.maximum(square, 0))) / 2
    return np.where(square < 0, np.sqrt(np.maximum(determinant, 0)), real)


def gap(trace: Any, determinant: Any) -> float:
    """Return 1 − radius(trace, determinant) of fractions: below 0 where the error grows, exactly.

    Example:
        >>> gap(1 - Fraction(1, 10**20), Fraction(0))
        1e-20
    """
    near = 1 - float(radius(trace, determinant))
    if abs(near) > 1e-6:
        return near
    trace, determinant = Fraction(trace), Fraction(determinant)
    if abs(determinant) <= 1 and abs(trace) <= 1 + determinant and not stable(trace, determinant):
        return 0.0
    import mpmath

    with mpmath.workdps(120):
        t, d = to_mpmath(trace), to_mpmath(determinant)
        square = t * t - 4 * d
        return float(1 - (mpmath.sqrt(d) if square < 0 else (abs(t) + mpmath.sqrt(square)) / 2))
