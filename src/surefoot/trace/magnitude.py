"""A number that carries a bound on the size of everything it was computed from."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["Magnitude"]


class Magnitude:
    """x with x̄ ≥ |x|, the size of the terms it came from: relative errors of x are up to x̄/|x| times u.

    + and − add the bounds, so that a cancellation is remembered; × ÷ √ pass relative errors on, and a square
    doubles them. A linear rule run on it gives the same recurrence on absolute values. Both numbers are kept
    as floats.

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
        if isinstance(x, cls):
            return x
        value = float(x)
        return cls(value, abs(value))

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
        product = self.value * y.value
        return Magnitude(product, abs(self.value) * y.bound + self.bound * abs(y.value) - abs(product))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Magnitude:
        y = Magnitude.of(other)
        if y.value == 0:
            return Magnitude(math.nan, math.inf)
        return self * Magnitude(1 / y.value, y.bound / y.value**2)

    def __rtruediv__(self, other: Any) -> Magnitude:
        return Magnitude.of(other) / self

    def __pow__(self, exponent: Any) -> Magnitude:
        power = float(exponent)
        result = self.value**power
        if self.value == 0:
            return Magnitude(result, self.bound**power)
        relative = self.bound / abs(self.value)
        # a power multiplies relative errors; below 1 it takes from them what is more than rounding
        grown = abs(power) * relative if abs(power) > 1 else 1 + abs(power) * (relative - 1)
        return Magnitude(result, abs(result) * grown)

    def sqrt(self) -> Magnitude:
        """√x, which halves relative errors."""
        root = math.sqrt(self.value)
        return Magnitude(root, (root + self.bound / root) / 2 if root else math.sqrt(self.bound))

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
