"""Print a sympy expression as a person would write it: hyperparameters before data, w first, + before −.

sympy keeps sums and products in an order of its own; here they are put into the order of textbooks, for text
and for LaTeX by the same walk. A symbol whose name ends in ₜ or ₜ₋₁ is data, any other a hyperparameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from surefoot.rules.names import latex_name

__all__ = ["Style", "latex_style", "text_style"]

# how tightly a printed piece holds together; a number times a power of ten is a factor as it is, but neither
# what is divided by nor a base
_SUM, _PRODUCT, _SCALED, _POWER, _ATOM = range(5)
_SUPERSCRIPTS = str.maketrans("0123456789t", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵗ")
_SCALARS = ("μ", "μ′", "ρ", "r", "P")  # change from step to step, and are placed like hyperparameters


@dataclass(frozen=True)
class Style:
    """How one form of output writes each construct; `name` gives the text of a symbol, from its name."""

    name: Callable[[str], str]
    times: str
    dot: str
    minus: str
    brackets: Callable[[str], str]
    root: Callable[[str], str]
    fraction: Callable[[tuple[str, int], tuple[str, int]], str] | None
    power: Callable[[str, str], str]
    call: Callable[[str, list[str]], str]
    cases: Callable[[list[tuple[str, str]]], str]

    def print(self, e: Any) -> str:
        """The expression as a string."""
        return self._print(e)[0]

    def _print(self, e: Any) -> tuple[str, int]:
        if e.is_Symbol:
            text = self.name(e.name)
            return text, _tightness(text)
        if e.is_Number:
            return self._number(e)
        if e.is_Add:
            return self._sum(e), _SUM
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e)
        if e.is_Piecewise:
            return self.cases([(self.print(v), "" if c == True else self.print(c)) for v, c in e.args]), _SUM  # noqa: E712
        if e.is_Relational:
            return f"{self.print(e.lhs)} {e.rel_op} {self.print(e.rhs)}", _SUM
        return self.call(type(e).__name__, [self.print(a) for a in sorted(e.args, key=_place_in_sum)]), _ATOM

    def _at_least(self, e: Any, tight: int) -> str:
        text, own = self._print(e)
        return text if own >= tight else self.brackets(text)

    def _number(self, e: Any) -> tuple[str, int]:
        short = f"{float(e):.10g}"
        text = short if e == sympy.Rational(short) and "e" not in short else str(e)
        return text.replace("-", self.minus), _SUM if e < 0 else _PRODUCT if "/" in text else _ATOM

    def _sum(self, e: Any) -> str:
        terms = sorted(e.args, key=_place_in_sum)
        if _negative(terms[0]):  # μv − γd rather than −γd + μv
            terms.sort(key=_negative)
        text = ""
        for term in terms:
            if _negative(term):
                text += (
                    f" {self.minus} {self._at_least(-term, _PRODUCT)}" if text else self._at_least(term, _SUM)
                )
            else:
                text += f" + {self._at_least(term, _PRODUCT)}" if text else self._at_least(term, _SUM)
        return text

    def _product(self, e: Any) -> tuple[str, int]:
        if _negative(e):
            return self.minus + self._at_least(-e, _PRODUCT), _SUM
        above, below = [], []
        for factor in e.args:
            if factor.is_Pow and _negative(factor.exp):
                below.append(1 / factor)
            elif factor.is_Rational and factor.q != 1 and self._number(factor)[1] == _PRODUCT:
                above += [sympy.Integer(factor.p)] if factor.p != 1 else []
                below.append(sympy.Integer(factor.q))
            else:
                above.append(factor)
        if not below:
            return self._factors(above), _PRODUCT
        top = self._quotient_part(above)
        bottom = self._quotient_part(below)
        if self.fraction is not None:
            return self.fraction(top, bottom), _PRODUCT
        upper = top[0] if top[1] >= _PRODUCT else self.brackets(top[0])
        lower = bottom[0] if bottom[1] > _SCALED else self.brackets(bottom[0])
        return f"{upper} / {lower}", _PRODUCT

    def _quotient_part(self, factors: list[Any]) -> tuple[str, int]:
        if not factors:
            return "1", _ATOM
        return self._print(factors[0]) if len(factors) == 1 else (self._factors(factors), _PRODUCT)

    def _factors(self, factors: list[Any]) -> str:
        text = ""
        for piece in (self._at_least(f, _SCALED) for f in sorted(factors, key=_place_in_product)):
            numbers = text[-1:].isdigit() and piece[:1].isdigit()
            text += (self.dot if numbers else self.times if text else "") + piece
        return text

    def _power(self, e: Any) -> tuple[str, int]:
        base, exponent = e.args
        if exponent == sympy.Rational(1, 2):
            return self.root(self.print(base)), _ATOM
        if _negative(exponent):
            return self._product(sympy.Mul(e, 1, evaluate=False))
        return self.power(self._at_least(base, _ATOM), self.print(exponent)), _POWER


def _tightness(text: str) -> int:
    """How tightly a letter holds together, or what was put in for it: −1.5, 1/3, 2.5·10⁻⁵, 10¹⁰, (1/2, 3)."""
    if text[:1] in "-−":
        return _SUM
    if text[:1] == "(" or text.startswith(r"\begin"):
        return _ATOM
    if text.endswith(")}"):  # g^{(2)}, g of step 2
        return _POWER
    if "/" in text:
        return _PRODUCT
    if "·10" in text or r"\cdot 10" in text or r"\tfrac" in text:
        return _SCALED
    return _POWER if text[:2] == "10" and (text[2:3] == "^" or not text.isascii()) else _ATOM


def _negative(e: Any) -> bool:
    return bool(e.as_coeff_Mul()[0] < 0)


def _is_data(symbol: Any) -> bool:
    return symbol.name.endswith(("ₜ", "ₜ₋₁")) and symbol.name.rstrip("ₜ₋₁") not in _SCALARS


def _place_in_sum(term: Any) -> tuple[Any, ...]:
    """First w, t, numbers; then what holds the old state, the new, sums of data; hyperparameters last."""
    data = [s.name for s in term.free_symbols if _is_data(s)]
    if term.is_Symbol and term.name in ("wₜ₋₁", "w̃ₜ", "ŵₜ", "t"):
        place = 0
    elif term.is_number:
        place = 1
    elif not data:
        place = 6
    elif any(f.is_Add and any(map(_is_data, f.free_symbols)) for f in sympy.Mul.make_args(term)):
        place = 5
    elif any(x.endswith("ₜ₋₁") and x != "wₜ₋₁" for x in data):
        place = 2
    else:
        place = 3 if term.is_Symbol else 4
    return place, sorted(data), term.sort_key()


def _place_in_product(factor: Any) -> tuple[Any, ...]:
    """Numbers, hyperparameters, sums of them, roots, data, sums of data."""
    data = any(_is_data(s) for s in factor.free_symbols)
    base = factor.base if factor.is_Pow else factor
    root = factor.is_Pow and factor.exp == sympy.Rational(1, 2)
    changing = base.is_Symbol and base.name.endswith("ₜ")  # γ r, not r γ
    shape = 0 if base.is_Number or root else 1 if base.is_Symbol else 2
    return data, shape, changing, factor.sort_key()


def _is_one(text: str) -> bool:
    """Whether a text needs no brackets of its own: a letter, a number, a tensor."""
    if text[0] == "(":
        return text[-1] == ")" and text.count("(") == 1
    return not set(text) & set(" −·(⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def text_style(name: Callable[[str], str] | None = None) -> Style:
    """Plain text; symbols as they are, or as `name` writes them (then products get a dot)."""

    def power(base: str, exponent: str) -> str:
        simple = exponent == "t" or (exponent.isascii() and exponent.isdigit())
        return base + (exponent.translate(_SUPERSCRIPTS) if simple else f"^({exponent})")

    return Style(
        name=name or str,
        times="·" if name else " ",
        dot="·",
        minus="−",
        brackets="({})".format,
        root=lambda x: f"√{x}" if _is_one(x) else f"√({x})",
        fraction=None,
        power=power,
        call=lambda f, xs: f"|{xs[0]}|" if f == "Abs" else f"{f.lower()}({', '.join(xs)})",
        cases=lambda cs: ", ".join(f"{v} if {c}" if c else f"else {v}" for v, c in cs),
    )


def latex_style(name: Callable[[str], str] | None = None) -> Style:
    """LaTeX; symbols by their letters, or as `name` writes them (then products get a dot)."""

    def brackets(x: str) -> str:
        return rf"\left({x}\right)" if any(y in x for y in (r"\frac", r"\sqrt", r"\begin")) else f"({x})"

    calls = {"sign": r"\operatorname{sign}", "Max": r"\max"}
    return Style(
        name=name or latex_name,
        times=r" \cdot " if name else " ",
        dot=r" \cdot ",
        minus="-",
        brackets=brackets,
        root=lambda x: rf"\sqrt{{{x}}}",
        fraction=lambda top, bottom: rf"\frac{{{top[0]}}}{{{bottom[0]}}}",
        power=lambda base, exponent: rf"{base}^{{{exponent}}}",
        call=lambda f, xs: (
            rf"\left|{xs[0]}\right|" if f == "Abs" else calls.get(f, rf"\{f}") + brackets(", ".join(xs))
        ),
        cases=lambda cs: (
            r"\begin{cases} "
            + r" \\ ".join(rf"{v} & \text{{if }} {c}" if c else rf"{v} & \text{{otherwise}}" for v, c in cs)
            + r" \end{cases}"
        ),
    )
