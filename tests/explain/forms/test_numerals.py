"""Numbers as a lecturer writes them."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import mpmath
import pytest

from surefoot.explain.forms.latex_pen import LatexPen
from surefoot.explain.forms.numerals import Numerals, all_digits, six_digits
from surefoot.explain.forms.pen import Pen

THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("x", "result", "put_in"),
    [
        (Fraction(991, 500), "1.9820", "1.982"),
        (THIRD, "0.3333", "0.3333"),
        (Fraction(0), "0.0000", "0"),
        (Fraction(100), "100.0000", "100"),
        (Fraction(-1, 10**6), "-1e-6", "-1e-6"),
        (Fraction(123456789012), "1.235e11", "1.235e11"),
        (mpmath.mpf("0.375"), "0.3750", "0.375"),
        (math.inf, "inf", "inf"),
        (math.nan, "nan", "nan"),
    ],
)
def test_rounded(x: object, result: str, put_in: str) -> None:
    assert (Numerals(4).result(x), Numerals(4).put_in(x)) == (result, put_in)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (Fraction(10**10), "1e10"),  # exactly
        (Fraction(9999960000), "1.000e10"),
        (Fraction(99999, 10**14) + Fraction(1, 10**30), "1.000e-9"),
        (4 * (10**29 + Fraction(1, 10**20)), "4e29"),  # but for the 50th digit
        (Fraction(10**400 + 10**380), "1.000e400"),
    ],
)
def test_a_rounded_mantissa_keeps_its_zeros(x: object, text: str) -> None:
    assert (Numerals(4).result(x), Numerals(4).put_in(x)) == (text, text)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        ("1.23456789", "1.23456789"),
        ("1/3", "1/3"),
        ("-22/7", "-22/7"),
        ("1234567891.5", "1.2345678915e9"),
        ("10000000", "10000000"),
        ("1e10", "1e10"),
        ("0.00001", "1e-5"),
        ("0.0001", "0.0001"),
        ("0", "0"),
        ("0.3333333333333333", "0.3333"),
        ("123456789/987654321987", "0.0001"),
        ("1e400", "1e400"),
    ],
)
def test_what_was_given_is_whole_where_it_is_short(x: str, text: str) -> None:
    assert Numerals(4).given(Fraction(x)) == text


def test_with_exact_what_was_given_is_a_fraction() -> None:
    assert Numerals(4, exact=True).given(Fraction("1.25")) == "5/4"


def test_decimals_are_those_of_the_number_not_of_its_float() -> None:
    # 0.998 as a float is 0.99799999999999999822…
    assert Numerals(40).result(Fraction(998, 1000)) == "0.998" + "0" * 37
    assert Numerals(25).put_in(THIRD) == "0." + "3" * 25
    assert Numerals(2).result(Fraction(-1, 8)) == "-0.13"  # halves go up, as by hand
    assert Numerals(0).result(Fraction(5, 2)) == "3"


@pytest.mark.parametrize(
    ("x", "text"),
    [
        ("0.00025", "0.00025"),
        ("0.0005", "0.0005"),
        ("0.0123456", "0.0123"),
        ("0.00123456", "0.00123"),
        ("0", "0.0000"),
        ("12.5", "12.5000"),
    ],
)
def test_small_numbers_keep_their_digits(x: str, text: str) -> None:
    assert Numerals(4, significant=3).result(Fraction(x)) == text


def test_exact() -> None:
    numerals = Numerals(4, exact=True)
    assert numerals.result(THIRD) == numerals.put_in(THIRD) == "1/3"
    assert numerals.result(THIRD**100) == "1.94032521748…e-48"
    assert numerals.result(Fraction(1, 10**9000)) == "1…e-9000"
    assert numerals.setting(Fraction(10**400)) == "1e400"
    assert Numerals(4).result(Fraction(10**900, 3)) == "3.333e899"  # beyond floats


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (Fraction(1, 1000), "0.001"),
        (Fraction(1, 10**5), "1e-5"),
        (THIRD, "1/3"),
        (Fraction(2), "2"),
        (Fraction(0), "0"),
        (Fraction(1, 10**400), "1e-400"),
        (Fraction(-1, 3 * 10**5000), "-3.33333333333e-5001"),
    ],
)
def test_settings_are_written_as_given(x: Fraction, text: str) -> None:
    assert Numerals(2).setting(x) == text


def test_prose_has_six_digits_of_any_number() -> None:
    assert six_digits(Fraction(-2, 3)) == "-0.666667"
    assert six_digits(0) == "0"
    assert six_digits(math.nan) == "nan"
    assert (six_digits(10**200), six_digits(-27 * 10**400)) == ("1e+200", "-2.7e+401")
    assert six_digits(Fraction(2, 3 * 10**400)) == "6.66667e-401"


def test_a_fraction_may_be_longer_than_pythons_own_text() -> None:
    assert all_digits(Fraction(-3, 10**5000)) == "-3/1" + "0" * 5000
    assert all_digits(Fraction(7)) == "7"


def test_powers_of_ten_beyond_a_million_are_written_at_once() -> None:
    with mpmath.workdps(50):
        for x in (mpmath.exp(-9e5), mpmath.exp(9e5), -(mpmath.exp(-9e5) ** 3)):
            mantissa, _, exponent = mpmath.nstr(x, 4).replace("e+", "e").partition("e")
            start = time.perf_counter()
            assert Numerals(4).result(x) == f"{mantissa}e{exponent}"
            assert time.perf_counter() - start < 1


def test_digits_show_the_first_movements() -> None:
    def digits(*movements: tuple[object, object]) -> tuple[int, int]:
        shown = Numerals(significant=3).showing(movements)
        return shown.digits, shown.scaled

    assert digits((1, 0.5)) == digits((1, 0.998), (2, 2)) == digits() == (4, 3)
    assert digits((1, 1 - Fraction(3, 10**6))) == (7, 3)
    assert digits((1, 1 - Fraction(1, 10**30))) == (31, 3)
    assert digits((1, 1 - Fraction(1, 10**60))) == (40, 3)  # no more are written
    assert digits((math.nan, 1), (1, math.inf)) == (4, 3)
    # of what is written with a power of ten, what stands before it
    assert digits((10**12, 10**12 - 2 * 10**5)) == (4, 8)
    assert digits((0, Fraction(1, 10**30)), (Fraction(10**400), 0)) == (4, 3)
    assert digits((Fraction(1, 10**30), Fraction(99999, 10**35)), (1, 1 + Fraction(1, 10**6))) == (7, 6)


def test_digits_that_the_user_chose_are_those_before_a_power_of_ten_too() -> None:
    numerals = Numerals(12, scaled=12)
    assert numerals.result(Fraction("1234567891.5")) == "1.2345678915e9"
    assert Numerals(2, scaled=2).result(Fraction("0.00012345")) == "1.23e-4"
    assert Numerals(0, scaled=0).put_in(Fraction("0.00012345")) == "1e-4"


@pytest.mark.parametrize(
    ("written", "text", "latex"),
    [
        ("-1.5", "−1.5", "-1.5"),
        ("1e-8", "10⁻⁸", "10^{-8}"),
        ("-2.5e11", "−2.5·10¹¹", r"-2.5 \cdot 10^{11}"),
        ("-1/3", "−1/3", r"-\tfrac{1}{3}"),
        ("inf", "inf", r"\infty"),
        ("nan", "nan", r"\mathrm{NaN}"),
    ],
)
def test_both_hands(written: str, text: str, latex: str) -> None:
    assert Pen(Numerals()).number(written) == text
    assert LatexPen(Numerals()).number(written) == latex
