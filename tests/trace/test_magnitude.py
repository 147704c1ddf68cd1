"""Numbers that carry a bound: it is never below the number, and holds for real rounding errors."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from surefoot.trace.magnitude import Magnitude

NUMBERS = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_the_bound_is_never_below_the_number(a, b, c):
    x, y, z = map(Magnitude.of, (a, b, c))
    for value in (x + y - z, x * y + z, (x - y) * z, -x, abs(x - y), (x + y) ** 2, 3 * x - 2, 2 - x):
        assert float(value) >= abs(value.value) * (1 - 1e-12)
    if b:
        assert float(x / y) >= abs(a / b) * (1 - 1e-12)
    if a > 0:
        assert float((x + 0).sqrt()) >= math.sqrt(a) * (1 - 1e-12)


def test_cancellation_is_remembered():
    close = Magnitude.of(1.0) - 0.999
    assert float(close) == 1.999
    assert float(1 / close) > 1e5  # 1.999/0.001²
    assert float(close.sqrt()) > 10 * math.sqrt(close.value)
    assert float(close * 2 + 0 * close) == 2 * float(close)


def test_a_square_doubles_relative_errors():
    assert float(Magnitude.of(3.0) ** 2) == 18
    assert float(Magnitude(1.0, 5.0) ** 2) == 10
    assert float(Magnitude(4.0, 12.0) ** 0.5) == float(Magnitude(4.0, 12.0).sqrt()) == 4


def test_a_division_by_zero_has_no_bound():
    assert float(Magnitude.of(1) / 0) == math.inf


def test_it_compares_as_the_number():
    assert Magnitude(1.0, 5.0) == 1
    assert 0 < Magnitude(1.0, 5.0) < 2
    assert Magnitude(1.0, 5.0) >= 1
    assert Magnitude(1.0, 5.0) <= Magnitude(1.0, 1.0)
