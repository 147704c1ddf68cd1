"""The functions that choose by the type of number."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch

from surefoot.errors import InputError
from surefoot.rules.numbers import maximum, power, select, sign, sqrt, variance, zero
from surefoot.trace.magnitude import Magnitude

KINDS = [float, mpmath.mpf, np.float64, sympy.Rational, lambda x: torch.tensor(x, dtype=torch.float64)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_number(kind):
    assert float(sqrt(kind(2.25))) == 1.5
    assert [float(sign(kind(x))) for x in (-2.5, 0.0, 3.0)] == [-1, 0, 1]
    assert float(maximum(kind(-2.5), kind(-3.0))) == -2.5
    assert float(maximum(0, kind(-3.0))) == 0
    assert float(power(Fraction("0.96"), kind(0.5))) == pytest.approx(0.96**0.5, rel=1e-15)
    assert float(select(kind(2.5) > 2, lambda: kind(1.0), lambda: 1 / 0)) == 1
    assert float(select(kind(1.5) > 2, lambda: 1 / 0, lambda: kind(2.0))) == 2
    assert zero(kind(0.0))
    assert not zero(kind(0.5))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not sympy.Rational])
def test_nan_is_no_number_to_lose(kind):
    nan = kind(math.nan)
    assert math.isnan(maximum(nan, kind(0.0)))
    assert math.isnan(maximum(kind(0.0), nan))


def test_fractions_are_exact_or_refused():
    assert sign(Fraction(-1, 3)) == -1
    assert maximum(Fraction(1, 3), 0) == Fraction(1, 3)
    with pytest.raises(InputError, match="The square root of 2 is not exact"):
        sqrt(Fraction(2))


@pytest.mark.parametrize("kind", [float, mpmath.mpf, Magnitude.of])
def test_a_variance_is_negative_by_rounding_alone_never(kind):
    with mpmath.workdps(50):
        a = kind(1) / kind(3)
        below = a**2 * (1 - 2 ** -(40 if kind is not mpmath.mpf else 150))
        assert variance(below, a) == 0
        assert variance(a**2 * 0.5, a) < 0  # by more than rounding: that is another matter
        assert variance(a**2 * 2, a) == a**2 * 2 - a**2


def test_a_tensors_variance_stays_what_it_is():
    x = torch.tensor([0.25, 0.2], dtype=torch.float64)
    assert variance(x, torch.full((2,), 0.5, dtype=torch.float64)).tolist() == [0, 0.2 - 0.25]


def test_no_root_is_complex():
    with pytest.raises(ValueError, match=r"^square root of -0.25, which is negative,$"):
        sqrt(mpmath.mpf("-0.25"))


@pytest.mark.parametrize("library", [torch, np])
def test_batches(library):
    x = library.linspace(1.0, 4.0, 4)
    assert select(x > 2, lambda: x, lambda: 0 * x).tolist() == [0, 0, 3, 4]
    assert maximum(2, x).tolist() == maximum(x, 2).tolist() == [2, 2, 3, 4]
    assert zero(0 * x)
    assert not zero(x - 1)


def test_symbols_stay_symbols():
    x = sympy.Symbol("x", real=True)
    assert sqrt(x) == sympy.sqrt(x)
    assert maximum(x, 1) == sympy.Max(x, 1)
    assert select(x > 5, lambda: x, lambda: 1).subs(x, 6) == 6
    assert not zero(x)
    assert math.isclose(power(Fraction("0.96"), x).subs(x, 2), 0.9216)
