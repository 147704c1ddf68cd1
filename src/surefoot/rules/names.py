"""What quantities are called in formulas, and what a letter or a variable is called in LaTeX."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["LETTERS", "latex_name"]

# what quantities are called in formulas, where it is not their name
LETTERS = {
    "ascent": "g′",
    "w_decayed": "w̃",
    "w_stepped": "ŵ",
    "m_hat": "m̂",
    "v_hat": "v̂",
    "v_max": "v̄",
    "mu": "μ",
    "mu_next": "μ′",
    "rho": "ρ",
    "rho_inf": "ρ∞",
}
_LATEX = {
    **{"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "ε": r"\varepsilon", "η": r"\eta", "λ": r"\lambda"},
    **{"μ": r"\mu", "ρ": r"\rho", "τ": r"\tau", "ψ": r"\psi", "∞": r"_\infty", "′": "'"},
    "γ_max": r"\gamma_{\max}",
}
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Xi", "Pi",
    "Sigma", "Phi", "Psi", "Omega",
}  # fmt: skip
_ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar"}
_STEPS = ("w", "g", "d", "b", "v", "u", "m")  # whose index is a step's: w_1 is no variable's name


def latex_name(name: str) -> str:
    r"""A symbol's name in LaTeX: `m̂ₜ` is `\hat{m}_t`; a word is set upright.

    Example:
        >>> latex_name("m̂ₜ"), latex_name("β₁"), latex_name("buffer")
        ('\\hat{m}_t', '\\beta_1', '\\mathrm{buffer}')
    """
    name = unicodedata.normalize("NFD", name)  # ŵ is one character or two
    for ending, index in (("ₜ₋₁", "_{t-1}"), ("ₜ", "_t"), ("₀", "_0"), ("₁", "_1"), ("₂", "_2")):
        if name.endswith(ending) and name != ending:
            return latex_name(name[: -len(ending)]) + index
    for accent, command in _ACCENTS.items():
        name_, found, rest = name.partition(accent)
        if found:
            return rf"\{command}{{{latex_name(name_)}}}{rest}"
    name = unicodedata.normalize("NFC", name)  # é, which LaTeX reads as one character
    if name.endswith("′") and len(name) > 1:
        return f"{latex_name(name[:-1])}'"
    if name in _LATEX or len(name) == 1:
        return _LATEX.get(name, name)
    if all(c in _LATEX or not c.isascii() for c in name):
        return "".join(_LATEX.get(c, c) for c in name)
    if name in _GREEK:
        return rf"\{name}"
    numbered = re.fullmatch(r"([^\W\d_])_?(\d+)", name)  # x1
    if numbered and numbered[1] in _STEPS:
        return rf"\mathit{{{numbered[1]}{numbered[2]}}}"
    if numbered:
        return f"{latex_name(numbered[1])}_{{{numbered[2]}}}"
    stem, _, index = name.partition("_")
    if len(stem) == 1 and index:
        return rf"{latex_name(stem)}_{{\mathrm{{{index}}}}}"
    return rf"\mathrm{{{name}}}".replace("_", r"\_")
