r"""An explanation as LaTeX: aligned equations, ready for a document that loads amsmath."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from surefoot.explain.forms.document import Block, Facts, Heading, Row, Side, Table, Work, document
from surefoot.explain.forms.latex_pen import LatexPen

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["aligned", "gathered", "latex"]

# what prose may hold that an old LaTeX does not read
_UNICODE = {
    "∇": r"$\nabla$",
    "∂": r"$\partial$",
    "√": r"$\surd$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "ε": r"$\varepsilon$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
    "₀": "$_0$",
    "₁": "$_1$",
    "₂": "$_2$",
    "½": r"$\frac12$",
    "−": "$-$",
    "≤": r"$\le$",
    "–": "--",
    "…": r"\dots{}",
    "<": "$<$",
    ">": "$>$",
}
_SUPER = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_POWER = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def latex(explanation: Explanation) -> str:
    r"""Write an explanation as LaTeX; it needs `\usepackage{amsmath}`."""
    blocks = list(document(explanation, LatexPen(explanation.numerals)))
    return "\n".join(line for block in blocks for line in _write(block)).rstrip("\n")


def _write(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        level = "section" if block.level == 1 else "subsection"
        yield rf"\{level}*{{{_prose(block.text)}}}"
        if block.facts:
            yield _inline(block.facts)
            yield ""
    elif isinstance(block, Facts):
        yield r"\begin{gather*}"
        yield gathered(block.items)
        yield r"\end{gather*}"
    elif isinstance(block, Work):
        yield rf"\noindent ${block.name}$:"
        yield r"\begin{align*}"
        yield aligned(block.rows)
        yield r"\end{align*}"
    elif isinstance(block, Side):
        yield rf"\noindent\begin{{tabular}}{{l{'l' * len(block.columns)}}}"
        yield "   & " + " & ".join(map(_prose, block.columns)) + r" \\ \hline"
        for k, (label, entries) in enumerate(block.rows):
            cells = [f"${entry}$" if entry else "--" for entry in entries]
            if block.marked and block.marked[0] == k:
                cells[block.marked[1]] = rf"$\mathbf{{{entries[block.marked[1]]}}}$ $\triangleleft$"
            yield f"  ${label}$ & " + " & ".join(cells) + r" \\"
        yield r"\end{tabular}"
        yield ""
    elif isinstance(block, Table):
        names, *lines = ([_prose(cell) for cell in row] for row in block.rows)
        yield rf"\noindent\begin{{tabular}}{{{'l' * len(names)}}}"
        yield "  " + " & ".join(names) + r" \\ \hline"
        yield from ("  " + " & ".join(row) + r" \\" for row in lines)
        yield r"\end{tabular}"
        yield ""
    else:
        lead = r"\emph{New:} " if block.kind == "new" else ""
        space = r"\medskip" if block.kind in ("part", "theory", "closing", "checks") else ""
        yield rf"{space}\noindent {lead}{_prose(block.text)}"
        yield ""


def aligned(rows: Iterable[Row]) -> str:
    """Write lines for an environment that aligns them."""
    return " \\\\\n".join(map(_row, rows))


def _row(row: Row) -> str:
    """Write left &= formula &&= numbers &&= result, with nothing where a part is missing."""
    left, *parts = row
    return f"  {left}" + " &".join(f" &= {part}" if part else " & " for part in parts)


def gathered(items: tuple[str, ...]) -> str:
    """One line, or a line for each item where that would be long."""
    if sum(map(len, items)) <= 150:
        return "  " + r", \qquad ".join(items)
    return "  " + " \\\\\n  ".join(items)


def _inline(items: tuple[str, ...]) -> str:
    return "$" + "$, $".join(items) + "$"


def _power(found: re.Match[str]) -> str:
    digits = found[0].translate(_SUPER)
    return f"$^{digits}$" if len(digits) == 1 else f"$^{{{digits}}}$"


def _prose(text: str) -> str:
    """Prose with mathematics in it; only what stands outside of it is changed."""
    pieces = text.split("$")
    for i in range(0, len(pieces), 2):
        pieces[i] = _POWER.sub(_power, pieces[i])
        for character, command in _UNICODE.items():
            pieces[i] = pieces[i].replace(character, command)
        pieces[i] = pieces[i].replace("$$", "")  # β and ₁ are one formula
    return "$".join(pieces)
