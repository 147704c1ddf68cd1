"""Exact values: what they are read from, and the way apart and together again."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import mpmath
import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.trace.values import build, constant, elements, exact, exact_binary, indices, map_value, shape

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (0.1, Fraction(1, 10)),
        (1e-3, Fraction(1, 1000)),
        ("1/3", Fraction(1, 3)),
        ("-2.5e-3", Fraction(-1, 400)),
        (Decimal("0.7"), Fraction(7, 10)),
        (mpmath.mpf("0.375"), Fraction(3, 8)),
        ([sympy.Rational(-1, 3), sympy.Integer(2), sympy.S.Half], (Fraction(-1, 3), 2, Fraction(1, 2))),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
        (math.inf, math.inf),
        ("-inf", -math.inf),
    ],
)
def test_reads_what_people_write(given_value, expected):
    assert exact(given_value) == expected


@given(x=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_the_decimal_that_it_prints_as(x):
    read = exact(np.float32(x))
    assert np.float32(float(read)) == np.float32(x)
    assert exact(torch.tensor([x])) == (read,)
    if abs(x) >= np.finfo(np.float32).tiny:
        assert read == Fraction(str(np.float32(x)))
    assert exact_binary(torch.tensor(x)) == Fraction(x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_tensor_of_any_dtype_holds_tenths(dtype):
    assert exact(torch.tensor([0.1, -0.7], dtype=dtype)) == (Fraction(1, 10), Fraction(-7, 10))
    assert exact(torch.tensor([math.inf], dtype=dtype)) == (math.inf,)


def test_floats_of_a_machine_are_read_as_they_are():
    assert exact_binary(0.1) == Fraction(3602879701896397, 2**55)
    assert math.isnan(exact_binary(math.nan))


@pytest.mark.parametrize("bad", ["two", True, None, 1j, "1/0", [1, "x"], {"a": 1}, sympy.pi, sympy.oo])
def test_refuses_what_is_no_number(bad):
    with pytest.raises(InputError, match=r"^a holds .*, which is not a number\.$"):
        exact(bad, "a")


@pytest.mark.parametrize("number", ["1e99999", "-2.5E-10000", "9" * 5000, "1/" + "7" * 4000])
def test_a_number_with_too_many_digits_is_not_said_to_be_none(number):
    with pytest.raises(InputError, match=r"^a holds .* exponents up to 9999\.$"):
        exact(number, "a")


def test_exponents_may_have_a_sign():
    assert exact("1e-5000") == 1 / exact("1e+5000") == Fraction(1, 10**5000)


def test_refuses_ragged_nesting():
    with pytest.raises(InputError) as error:
        exact([[1, 2], [3]], "a")
    assert str(error.value) == "a is not rectangular: its parts have shapes (1,) and (2,)."


@given(SHAPES)
def test_taken_apart_and_built_again(sizes):
    count = math.prod(sizes)
    value = build(sizes, range(count))
    assert list(elements(value)) == list(range(count))
    assert len(list(indices(sizes))) == count
    if 0 not in sizes:
        assert shape(value) == sizes


def test_indices_name_the_elements():
    value = ((1, 2, 3), (4, 5, 6))
    assert list(indices(shape(value))) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [value[i][j] for i, j in indices(shape(value))] == list(elements(value))


def test_map_value_pairs_elements():
    assert map_value(lambda x, y: x - y, ((4, 5), (6, 7)), ((1, 2), (3, 4))) == ((3, 3), (3, 3))


def test_numbers_of_mpmath_keep_their_sign():
    assert exact(mpmath.mpf(-3) / 8) == Fraction(-3, 8)
    assert exact(mpmath.mpf("-inf")) == float("-inf")


def test_only_a_large_tensor_of_one_number_is_written_by_it():
    assert constant(((Fraction(1, 2),) * 20,) * 2) == Fraction(1, 2)
    assert constant((Fraction(0),) * 32) is None
    assert constant((*(Fraction(0),) * 40, Fraction(1))) is None
    assert constant(Fraction(1)) is None


class Pair(NamedTuple):
    one: int
    other: int


@pytest.mark.parametrize(
    "given_value", [Pair(1, 2), [Fraction(1), 2.0], (Fraction(1), Fraction(2)), torch.tensor([1, 2])]
)
def test_sequences_of_every_kind_become_tuples(given_value):
    assert exact(given_value) == (Fraction(1), Fraction(2))
    assert type(exact(given_value)) is tuple


@pytest.mark.parametrize(
    "given_value", [True, [True], (Fraction(1), True), [1.0, (2.0,)], (Fraction(1), (2,))]
)
def test_neither_flags_nor_ragged_fractions_pass(given_value):
    with pytest.raises(InputError):
        exact(given_value)
