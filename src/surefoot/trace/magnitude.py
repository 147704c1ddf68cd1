"""A number that carries a bound on the size of everything it was computed from."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["Magnitude"]


class Magnitude:
    """x with x̄ ≥ |x|: + and − add the bounds, × multiplies them, ÷ and √ pass on how ill-conditioned x is.

    A rule run on it gives, beside w, the Θ̄ for which the rounding errors of w are at most a few u·Θ̄ per step:
    plain relative errors fail where terms cancel, and Θ̄ remembers the terms. Both are kept as floats.

    Example:
        >>> x = Magnitude.of(3) - 2.5
        >>> x.value, float(x)
        (0.5, 5.5)
    """

    __slots__ = ("bound", "value")

    def __init__(self, value: float, bound: float) -> None:
        self.value, self.bound = value, bound

    @classmethod
    def of(cls, x: Any) -> Magnitude:
        """A number with itself as its bound."""
        return x if isinstance(x, cls) else cls(float(x), abs(float(x)))

    def __float__(self) -> float:
        """The bound."""
        return self.bound

    def __add__(self, other: Any) -> Magnitude:
        y = Magnitude.of(other)
        return Magnitude(self.value + y.value, self.bound + y.bound)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Magnitude:
        y = Magnitude.of(other)
        return Magnitude(self.value - y.value, self.bound + y.bound)

    def __rsub__(self, other: Any) -> Magnitude:
        return Magnitude.of(other) - self

    def __neg__(self) -> Magnitude:
        return Magnitude(-self.value, self.bound)

    def __abs__(self) -> Magnitude:
        return Magnitude(abs(self.value), self.bound)

    def __mul__(self, other: Any) -> Magnitude:
        y = Magnitude.of(other)
        return Magnitude(self.value * y.value, self.bound * y.bound)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Magnitude:
        y = Magnitude.of(other)
        if y.value == 0:
            return Magnitude(math.nan, math.inf)
        return Magnitude(self.value / y.value, self.bound * y.bound / y.value**2)

    def __rtruediv__(self, other: Any) -> Magnitude:
        return Magnitude.of(other) / self

    def __pow__(self, exponent: Any) -> Magnitude:
        power = float(exponent)
        return Magnitude(self.value**power, self.bound**power if power >= 0 else math.inf)

    def sqrt(self) -> Magnitude:
        """√x; its bound is √x times how much larger than x the bound of x is."""
        root = math.sqrt(self.value)
        return Magnitude(root, self.bound / root if root else math.sqrt(self.bound))

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Magnitude) else other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> bool:
        return self.value < Magnitude.of(other).value

    def __gt__(self, other: Any) -> bool:
        return self.value > Magnitude.of(other).value

    def __le__(self, other: Any) -> bool:
        return self.value <= Magnitude.of(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= Magnitude.of(other).value

    def __repr__(self) -> str:
        return f"Magnitude({self.value!r}, {self.bound!r})"
