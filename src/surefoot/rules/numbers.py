"""The few functions beyond + − × ÷ that rules need, on every kind of number, chosen by the number's type.

A formula that uses them still never branches on w or g: the same line runs on Fraction, float, mpmath, torch,
numpy and sympy. But for `to_mpmath` they import nothing: whoever made a tensor or a symbol has imported its
library already.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from surefoot.errors import InputError

__all__ = ["maximum", "meet", "power", "select", "sign", "sqrt", "to_mpmath", "variance", "zero"]

_LIBRARIES = frozenset({"torch", "numpy", "sympy", "mpmath"})


def _library(*values: Any) -> Any:
    """The library whose functions take these values, or None for Python's own numbers."""
    for x in values:
        root = type(x).__module__.partition(".")[0]
        if root in _LIBRARIES:
            return sys.modules[root]
    return None


def to_mpmath(x: Any) -> Any:
    """A fraction or a whole number as one of mpmath's, to the digits that it works with now."""
    import mpmath

    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, (Fraction, int)) else x


def meet(h: Any, s: Mapping[str, Any], *values: Any) -> tuple[Any, dict[str, Any]]:
    """Hyperparameters and a state as a w and a gradient take them: a Fraction times a tensor is no product.

    Beside tensors and floats a fraction becomes a float, beside mpmath's numbers one of these.
    """
    if Fraction not in map(type, (*vars(h).values(), *s.values())):  # looked up so, it costs next to nothing
        return h, dict(s)
    library = _library(*values)
    name = library.__name__ if library else ""
    if name == "sympy" or (not name and float not in map(type, values)):
        return h, dict(s)
    number = to_mpmath if name == "mpmath" else float

    def fit(x: Any) -> Any:
        return number(x) if type(x) is Fraction else x  # isinstance asks its metaclass, which takes long

    return h.map(fit), {name: fit(x) for name, x in s.items()}


def sqrt(x: Any) -> Any:
    """√x; a Fraction has none that is exact, so it is refused."""
    if isinstance(x, (int, Fraction)):
        raise InputError(
            f"The square root of {x} is not exact; replay with number=float or number=mpmath.mpf, "
            "and define your own rule that takes roots with @surefoot.rule(exact=False)."
        )
    if hasattr(x, "man_exp") and x < 0:  # mpmath would go on in complex numbers
        raise ValueError(f"square root of {float(x):.6g}, which is negative,")
    if hasattr(x, "sqrt"):  # tensors, mpmath's numbers, and numbers that carry a bound
        return x.sqrt()
    return (_library(x) or math).sqrt(x)


def variance(squares: Any, mean: Any) -> Any:
    """The mean of squares less the squared mean, 0 where rounding alone makes it negative.

    A tensor's stays negative, and its root NaN, as an optimizer's own would.
    """
    left = squares - mean**2
    library = _library(left)
    if library is not None and library.__name__ != "mpmath":
        return left
    rounding = library.mp.eps * 2**20 if library else 2.0**-32
    return left - left if left < 0 and -left <= squares * rounding else left


def power(base: Fraction, exponent: Any) -> Any:
    """A constant to a power that need not be whole."""
    library = _library(exponent)
    if library is None:
        return float(base) ** float(exponent)
    if library.__name__ in ("torch", "numpy"):
        return float(base) ** exponent
    ratio = library.Rational if library.__name__ == "sympy" else lambda p, q: library.mpf(p) / q
    return ratio(base.numerator, base.denominator) ** exponent


def sign(x: Any) -> Any:
    """1, 0 or −1."""
    library = _library(x)
    return library.sign(x) if library else (x > 0) - (x < 0)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two, element by element."""
    library = _library(a, b)
    name = library.__name__ if library else ""
    if name == "sympy":
        return library.Max(a, b)
    if name == "torch":
        like = a if isinstance(a, library.Tensor) else b
        return library.maximum(*(library.as_tensor(x, dtype=like.dtype, device=like.device) for x in (a, b)))
    if name == "numpy":
        return library.maximum(a, b)
    return a if a > b or a != a else b  # NaN stays


def select(condition: Any, yes: Any, no: Any) -> Any:
    """`yes()` where the condition holds, else `no()`; functions, so that only what is needed is worked out.

    The condition may speak of hyperparameters and of the step count, never of w or g.
    """
    library = _library(condition)
    name = library.__name__ if library else ""
    if name == "sympy" and condition not in (True, False):
        return library.Piecewise((yes(), condition), (no(), True))
    if name in ("torch", "numpy") and condition.ndim:
        return library.where(condition, yes(), no())
    return yes() if condition else no()


def zero(x: Any) -> bool:
    """Whether a hyperparameter is switched off: 0, or 0 in every element of a batch."""
    off = x == 0
    return bool(off.all()) if hasattr(off, "all") else bool(off)
