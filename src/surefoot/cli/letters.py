"""How letters are written on an output whose encoding lacks them, so that numbers keep their signs."""

from __future__ import annotations

import codecs
import re
import unicodedata

__all__ = ["SPELLED", "register"]

SPELLED = "surefoot.spelled"  # what a stream's `errors` is then

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "·": "*", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "∞": "inf", "→": "->", "◀": "<-", "…": "...", "′": "'", "½": "1/2",
    "░": ".", "▒": "+", "▓": "*", "█": "#",
    "✓": "ok", "✗": "FAIL", "●": "o",
    "∂": "d", "∇": "grad_", "Δ": "delta_", "ₜ": "_t",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "_hat", "\N{COMBINING TILDE}": "_tilde",
    "\N{COMBINING MACRON}": "_mean",
}  # fmt: skip
_NAMES = {
    "α": "alpha", "β": "beta", "γ": "lr", "ε": "eps", "η": "eta", "θ": "theta", "Θ": "Theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ρ": "rho", "τ": "tau", "ψ": "psi",
}  # fmt: skip
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵗ"
_EARLIER = re.compile("ₜ₋([₀-₉])")  # of wₜ₋₁, which is not wₜ − 1


def register() -> None:
    """Let `errors=SPELLED` be said to a stream."""
    codecs.register_error(SPELLED, _spelled)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Write what cannot be encoded in ASCII, as codecs ask of a handler: the text, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    text, end = error.object, error.end
    earlier = {match.start(): match for match in _EARLIER.finditer(text, error.start, end)}
    said, i = "", error.start
    while i < end:
        letter, before, after = text[i], text[:i][-1:], text[i + 1 : i + 2]
        if found := earlier.get(i):
            said += f"_(t-{unicodedata.normalize('NFKC', found[1])})"
            i = found.end()
            continue
        if letter in _NAMES:  # γλw is a product of three
            joined = before.isalnum() and before not in _NAMES and before not in _SIGNS
            said += "*" * joined + _NAMES[letter] + "*" * (after.isalpha() and after not in _RAISED + "ₜ")
        elif letter == "√":
            said += "sqrt" if after == "(" else "sqrt "
        elif letter in _SIGNS:
            said += _SIGNS[letter]
        elif letter in _RAISED:
            said += "^" * (not before or before not in _RAISED) + unicodedata.normalize("NFKC", letter)
        else:  # é, ₁
            plain = unicodedata.normalize("NFKD", letter)
            said += "".join(_SIGNS.get(x, x if x.isascii() else "") for x in plain) or "?"
        i += 1
    return said.replace("\N{MINUS SIGN}", "-"), end
