"""Values of tensors as nested tuples of exact numbers: made, measured, taken apart, put together.

A value is a number, or a tuple of values (one level per dimension). Finite numbers are `Fraction`; NaN and
the infinities stay floats, since no fraction says them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, TypeAlias

from surefoot.errors import InputError

__all__ = [
    "Number",
    "Shape",
    "Value",
    "build",
    "constant",
    "elements",
    "exact",
    "exact_binary",
    "indices",
    "map_value",
    "shape",
    "too_long",
]

_NUMBER = re.compile(r"[+-]?[\d._/]*\d\.?(e[+-]?\d+)?", re.IGNORECASE)

Number: TypeAlias = Any  # Fraction, float, mpmath number, symbol: whatever a rule's step runs on
Value: TypeAlias = Any  # a Number or nested tuples of them
Shape: TypeAlias = tuple[int, ...]


def exact(value: Any, what: str = "a value") -> Value:
    """Read numbers, nested to any depth, as exact values; a float means the decimal that it prints as.

    0.1 ↦ 1/10, although the float nearest to 0.1 is a little more; the same of float32 and the narrower
    dtypes, each in its own digits. NaN and ±inf stay floats.

    Args:
        value: a number (int, float, Fraction, Decimal, mpmath, sympy's rationals), a string such as "1/3",
            nested lists of them, or anything with `tolist` (NumPy arrays, tensors).
        what: the name to use when something is wrong.

    Returns:
        The same nesting as tuples of `Fraction`.

    Raises:
        InputError: something is no number, or the nesting is not rectangular.

    Example:
        >>> exact([0.1, "1/3", 2])
        (Fraction(1, 10), Fraction(1, 3), Fraction(2, 1))
    """
    read = _read(value, what, _decimal)
    shape(read, what)
    return read


def exact_binary(value: Any) -> Value:
    """Read what a machine holds: each float as the binary fraction that it is, 0.1 ↦ 3602879701896397/2**55.

    Example:
        >>> exact_binary([0.5, float("inf")])
        (Fraction(1, 2), inf)
    """
    return _read(value, "a value", _binary)


@lru_cache(4096)  # the same few numbers are read again and again
def _decimal(x: float) -> Fraction:
    return Fraction(repr(x))


_BITS = {"float32": 24, "float16": 11, "bfloat16": 8}  # of dtypes that have fewer than a float


@lru_cache(4096)
def _narrow(bits: int, x: float) -> Fraction:
    """The shortest decimal that is x in a dtype of so many bits: as a float, float32's 0.1 has 17 digits."""
    for digits in range(1, 10):
        text = f"{x:.{digits}g}"
        mantissa, exponent = math.frexp(float(text))
        if math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits) == x:
            return Fraction(text)
    return Fraction(repr(x))


@lru_cache(4096)
def _binary(x: float) -> Fraction:
    return Fraction(*x.as_integer_ratio())  # Fraction(x) looks first whether x is a Rational, which is slow


def _read(value: Any, what: str, of_float: Callable[[float], Fraction]) -> Value:
    kind = type(value)  # isinstance asks Fraction's metaclass, which takes longer than all the rest
    if kind is Fraction:
        return value
    if kind is float:
        return of_float(value) if math.isfinite(value) else value
    if kind is tuple and set(map(type, value)) == {Fraction}:
        return value
    if kind is tuple or kind is list or isinstance(value, (list, tuple)):
        return tuple([_read(v, what, of_float) for v in value])
    if isinstance(value, (Fraction, int)) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, float):
        return of_float(float(value)) if math.isfinite(value) else float(value)
    if hasattr(value, "tolist"):
        bits = _BITS.get(str(getattr(value, "dtype", "")).removeprefix("torch."))
        if bits and of_float is _decimal:
            of_float = partial(_narrow, bits)
        return _read(value.tolist(), what, of_float)
    if hasattr(value, "man_exp"):  # mpmath's
        if value - value != 0:
            return float(value)
        mantissa, exponent = value.man_exp  # without its sign
        return Fraction(abs(mantissa)) * Fraction(2) ** exponent * (-1 if value < 0 else 1)
    if getattr(value, "is_Rational", False):  # sympy's
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, (str, Decimal)):
        number = _parse(str(value))
        if number is not None:
            return number
        if too_long(str(value)):
            shown = repr(value) if len(str(value)) < 40 else f"a number of {len(str(value))} characters"
            raise InputError(
                f"{what} holds {shown}; at most 4000 characters are allowed, and exponents up to 9999."
            )
    raise InputError(f"{what} holds {value!r}, which is not a number.")


def too_long(text: str) -> bool:
    """Return whether a text is a number, but one with more digits than anyone means.

    Example:
        >>> too_long("1e999999999"), too_long("1e-5000"), too_long("one")
        (True, False, False)
    """
    exponent = text.lower().partition("e")[2].lstrip("+-")
    return bool(_NUMBER.fullmatch(text.strip())) and (len(text) > 4000 or len(exponent) > 4)


def _parse(text: str) -> Number | None:
    """Read "1/3", "-2.5e-3", "nan"; None if it is no number, or has more digits than anyone means."""
    exponent = text.lower().partition("e")[2].lstrip("+-")
    if len(text) > 4000 or len(exponent) > 4:
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isfinite(number) else number


def constant(value: Value) -> Number | None:
    """Return the one number of which a large tensor is made, to be written short; None for any other value.

    Example:
        >>> constant(((1,) * 20,) * 2), constant((1, 1))
        (1, None)
    """
    numbers = list(elements(value)) if isinstance(value, tuple) else []
    return numbers[0] if len(numbers) > 32 and all(x == numbers[0] for x in numbers) else None


def shape(value: Value, what: str = "a value") -> Shape:
    """Return the sizes along each dimension; a number has shape ().

    Raises:
        InputError: the nesting is not rectangular.

    Example:
        >>> shape(((1, 2, 3), (4, 5, 6)))
        (2, 3)
    """
    if not isinstance(value, tuple):
        return ()
    if tuple not in set(map(type, value)):
        return (len(value),)
    inner = {shape(v, what) for v in value}
    if len(inner) > 1:
        raise InputError(
            f"{what} is not rectangular: its parts have shapes {' and '.join(map(str, sorted(inner)))}."
        )
    return (len(value), *(inner.pop() if inner else ()))


def elements(value: Value) -> Iterator[Number]:
    """Yield the numbers of a value, in row-major order."""
    if not isinstance(value, tuple):
        yield value
    elif value and isinstance(value[0], tuple):
        for v in value:
            yield from elements(v)
    else:
        yield from value


def indices(shape: Shape) -> Iterator[tuple[int, ...]]:
    """Give the index of each element of a shape, in the order of `elements`."""
    return itertools.product(*map(range, shape))


def build(shape: Shape, numbers: Sequence[Number]) -> Value:
    """Put numbers in row-major order into a shape: the inverse of `elements`.

    Example:
        >>> build((2, 2), [1, 2, 3, 4])
        ((1, 2), (3, 4))
    """
    if not shape:
        return numbers[0]
    if len(shape) == 1:
        return tuple(numbers)
    size = len(numbers) // shape[0] if shape[0] else 0
    return tuple(build(shape[1:], numbers[i * size : (i + 1) * size]) for i in range(shape[0]))


def map_value(function: Callable[..., Number], *values: Value) -> Value:
    """Apply a function to the corresponding elements of values of one shape."""
    if isinstance(values[0], tuple):
        return tuple([map_value(function, *parts) for parts in zip(*values, strict=True)])
    return function(*values)
