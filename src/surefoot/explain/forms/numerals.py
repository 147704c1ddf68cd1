"""Numbers as a lecturer writes them: how many digits, when a fraction, when powers of ten."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from fractions import Fraction

from surefoot.trace.values import Number, exact_binary

__all__ = ["MOST_DIGITS", "Numerals", "all_digits", "six_digits"]

_BITS = 200  # more than any number of digits written needs
_SMALL, _LARGE = Fraction(1, 10**300), Fraction(10**300)  # between them, floats serve
_GIVEN = 12  # digits of a number that was given, and of a long fraction
_LONGEST = 40  # characters of a fraction that is written out
MOST_DIGITS = 40  # of 50 that are computed


@dataclass(frozen=True)
class Numerals:
    """How numbers are written.

    Args:
        digits: decimals of a result.
        exact: write fractions, where there are fractions.
        significant: digits that a small number shows at least, with more decimals where it needs them:
            0.0003 / 0.001 = 0.25 would be no arithmetic. 0 if the user chose the digits.
        scaled: decimals of what stands before a power of ten.

    Example:
        >>> Numerals(4).result(Fraction(991, 500)), Numerals(4).put_in(Fraction(991, 500))
        ('1.9820', '1.982')
        >>> Numerals(4, exact=True).result(Fraction(991, 500))
        '991/500'
        >>> Numerals(4).result(Fraction(1, 4000)), Numerals(4, significant=3).result(Fraction(1, 4000))
        ('0.0003', '0.00025')
        >>> Numerals(4).result(Fraction(10**10)), Numerals(4).result(Fraction(10**10 + 1))  # rounded
        ('1e10', '1.000e10')
    """

    digits: int = 4
    exact: bool = False
    significant: int = 0
    scaled: int = 3

    def result(self, x: Number) -> str:
        """Write a result: always all its decimals, so that columns align."""
        return self._write(x, strip=False)

    def put_in(self, x: Number) -> str:
        """Write a number in the middle of a formula: no more digits than it needs."""
        return self._write(x, strip=True)

    def rounded(self, x: Number) -> str:
        """Write a number with all its places: two that are rounded to the same one are written alike."""
        return self._write(x, strip=False, short=False)

    def decimal(self, x: Number) -> str:
        """Write a number beside a fraction that is too long: a decimal, too, with … where it goes on."""
        q = exact_binary(x)
        if isinstance(q, float):
            return str(q)
        return _decimal(q, "" if _is(_power_of_ten(q, _GIVEN), q) else "…")

    def given(self, x: Number) -> str:
        """Write a number that was given: whole where that is short, whatever the digits of results.

        Example:
            >>> Numerals(4).given(Fraction("1.23456789")), Numerals(4).given(Fraction(1, 3))
            ('1.23456789', '1/3')
        """
        q = exact_binary(x)
        if self.exact or isinstance(q, float) or q == 0:
            return self.put_in(x)
        text = _power_of_ten(q, _GIVEN)
        if _is(text, q):
            plain = not self._is_scaled(abs(q)) and abs(q) > _SMALL and "e" not in f"{float(q):.{_GIVEN}g}"
            return f"{float(q):.{_GIVEN}g}" if plain else _bare(text)
        brief = max(abs(q.numerator), q.denominator) < 10**_GIVEN and len(str(q)) <= _GIVEN
        endless = brief and 10 ** q.denominator.bit_length() % q.denominator != 0  # as a decimal
        return str(q) if endless else self.put_in(x)

    def setting(self, x: Number) -> str:
        """Write a hyperparameter: as it was given, whatever the digits of results."""
        q = exact_binary(x)
        if isinstance(q, float):
            return str(q)
        if q and not _SMALL < abs(q) < _LARGE:
            return _bare(_power_of_ten(q, 12))
        short = f"{float(q):.12g}"
        if Fraction(short) != q:
            return str(q) if len(str(q)) < _LONGEST else f"{float(q):.6g}"
        return short if "e" not in short else _bare(_power_of_ten(q, 12))

    def _write(self, x: Number, *, strip: bool, short: bool = True) -> str:
        q = exact_binary(x)
        if isinstance(q, float):
            return str(q)
        if self.exact:
            return _fraction(q)
        size = abs(q)
        if size and self._is_scaled(size):
            text = _power_of_ten(q, self.scaled + 1)
            return _bare(text) if short and _is(text, q) else text  # 1.0000·10¹⁰ is rounded, 10¹⁰ is not
        decimals = self.digits
        if size and self.significant:
            decimals = max(decimals, self.significant - 1 - math.floor(math.log10(size)))
        text = _fixed(q, decimals)
        if "." in text:
            text = text.rstrip("0").rstrip(".") if strip else _shorten(text, decimals - self.digits)
        return text

    def _is_scaled(self, size: Fraction) -> bool:
        """Whether a number of this size is written with a power of ten."""
        return size >= 10**9 or size < Fraction(1, 2 * 10**self.digits)

    def finer(self, more: int) -> Numerals:
        """The same with so many more digits of every number.

        Example:
            >>> Numerals(4).finer(2).result(Fraction(2, 3))
            '0.666667'
        """
        significant = self.significant and self.significant + more
        return replace(self, digits=self.digits + more, significant=significant, scaled=self.scaled + more)

    def showing(self, movements: Iterable[tuple[Number, Number]]) -> Numerals:
        """The same with digits enough, up to 40, to show each movement from one number to another with two.

        Example:
            >>> Numerals(4).showing([(1, 1 - Fraction(1, 10**6)), (0, Fraction(1, 10**30))]).digits
            7
            >>> Numerals(4).showing([(10**10, 10**10 - 2 * 10**5)]).result(10**10 - 2 * 10**5)
            '9.9998e9'
        """
        shown = self
        pairs = [(exact_binary(x), exact_binary(y)) for x, y in movements]
        finite = [(x, y) for x, y in pairs if x != y and float not in (type(x), type(y))]
        # the largest first, so that none is written otherwise in the end
        for size, step in sorted(((max(abs(x), abs(y)), abs(x - y)) for x, y in finite), reverse=True):
            if shown._is_scaled(size):
                needed = min(MOST_DIGITS, _exponent(size) - _exponent(step) + 1)
                shown = replace(shown, scaled=max(shown.scaled, needed))
            else:
                needed = min(MOST_DIGITS, 1 - _exponent(step))
                shown = replace(shown, digits=max(shown.digits, needed))
        return shown

    def to_show(self, before: Number, after: Number) -> Numerals:
        """The same with as many digits as show that a number has changed, unless the user chose them.

        Example:
            >>> Numerals(4, significant=3).to_show(0.1234561, 0.1234562).result(0.1234562)
            '0.12345620'
        """
        if not self.significant or before == after or self.rounded(before) != self.rounded(after):
            return self
        return self.showing([(before, after)])


def _fixed(q: Fraction, decimals: int) -> str:
    """Write so many decimals, halves rounded up; by whole numbers, since a float has only 16 digits."""
    units = (2 * abs(q.numerator) * 10**decimals + q.denominator) // (2 * q.denominator)
    whole, part = divmod(units, 10**decimals)
    return f"{'-' if q < 0 else ''}{whole}" + (f".{part:0{decimals}d}" if decimals else "")


def _shorten(text: str, most: int) -> str:
    """Leave out zeros at the end, but not more than so many."""
    zeros = len(text) - len(text.rstrip("0"))
    return text[: len(text) - min(zeros, most)]


def _power_of_ten(q: Fraction, digits: int) -> str:
    """Write 1.235e11; by way of Decimal, since q may be beyond all floats."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = digits + 10, MAX_EMAX, MIN_EMIN
        shift = _BITS - q.numerator.bit_length() + q.denominator.bit_length()
        if abs(shift) < 20_000:
            value = Decimal(q.numerator) / q.denominator
        else:  # as its first bits and a power of 2: Decimal takes seconds over a million digits
            value = Decimal(math.floor(q * Fraction(2) ** shift)) * Decimal(2) ** -shift
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _bare(text: str) -> str:
    """Leave out the zeros at the end of what stands before a power of ten."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{exponent}"


def _is(text: str, q: Fraction) -> bool:
    """Whether a number is what is written, as far as the 50 digits tell that are computed."""
    return abs(int(text.partition("e")[2])) <= 20_000 and abs(Fraction(text) - q) <= abs(q) / 10**MOST_DIGITS


def _exponent(q: Fraction) -> int:
    """The power of ten that a number is written with."""
    return int(_power_of_ten(q, 4).partition("e")[2])


def six_digits(x: Number) -> str:
    """Write a number for prose, however large or small, as Python writes a float: 8.1e+200.

    Example:
        >>> six_digits(Fraction(1, 3)), six_digits(Fraction(10**400, 3))
        ('0.333333', '3.33333e+399')
    """
    q = exact_binary(x)
    if isinstance(q, float) or q == 0 or _SMALL < abs(q) < _LARGE:
        return f"{float(q):.6g}"
    mantissa, _, exponent = _bare(_power_of_ten(q, 6)).partition("e")
    return f"{mantissa}e{int(exponent):+03d}"


def all_digits(q: Fraction) -> str:
    """Write a fraction whole, whatever its length; Python's own str refuses more than 4,300 digits."""
    above, below = (format(Decimal(n), "f") for n in (q.numerator, q.denominator))
    return above if q.denominator == 1 else f"{above}/{below}"


def _fraction(q: Fraction) -> str:
    try:
        text = str(q)
    except ValueError:  # Python refuses to write very long integers
        text = " " * 10_000
    if len(text) <= _LONGEST:
        return text
    return _decimal(q, "…")


def _decimal(q: Fraction, more: str) -> str:
    mantissa, e, exponent = _bare(_power_of_ten(q, _GIVEN)).partition("e")
    return f"{float(q):.12g}{more}" if abs(int(exponent)) < 12 else f"{mantissa}{more}{e}{exponent}"
