"""An explanation as Markdown with its mathematics in dollars, which a notebook typesets by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from surefoot.explain.forms.document import Block, Facts, Heading, Side, Table, Work, document
from surefoot.explain.forms.latex import aligned, gathered
from surefoot.explain.forms.latex_pen import LatexPen
from surefoot.explain.forms.markdown import note, safe

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["typeset"]


class _Pen(LatexPen):
    """LaTeX in mathematics, Markdown in prose."""

    def prose(self, text: str) -> str:
        """Write with what Markdown would take for markup, or a dollar for mathematics, made harmless."""
        return safe(text).replace("$", "&#36;")

    def under(self, rule: str) -> str:
        """Write it in words."""
        return rf"\text{{ ({LatexPen.prose(self, rule)})}}"


def typeset(explanation: Explanation) -> str:
    """Write an explanation as Markdown with its mathematics as LaTeX between dollars."""
    pen = _Pen(explanation.numerals)
    return "\n\n".join("\n".join(_write(block)) for block in document(explanation, pen))


def _write(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"{'#' * (block.level + 1)} {block.text}"
        if block.facts:
            yield ""
            yield ", ".join(f"${fact}$" for fact in block.facts)
    elif isinstance(block, Facts):
        yield from ("$$", r"\begin{gathered}", gathered(block.items), r"\end{gathered}", "$$")
    elif isinstance(block, Work):
        yield f"${block.name}$:"
        yield ""
        yield from ("$$", r"\begin{aligned}", aligned(block.rows), r"\end{aligned}", "$$")
    elif isinstance(block, Side):
        yield "| | " + " | ".join(block.columns) + " |"
        yield "|:--" * (len(block.columns) + 1) + "|"
        for k, (label, entries) in enumerate(block.rows):
            cells = [f"${entry}$" if entry else "–" for entry in entries]
            if block.marked and block.marked[0] == k:
                cells[block.marked[1]] += " ◀ here they part"
            yield f"| ${label}$ | " + " | ".join(cells) + " |"
    elif isinstance(block, Table):
        heads, *rows = block.rows
        yield "| " + " | ".join(heads) + " |"
        yield "|:--" * len(heads) + "|"
        yield from ("| " + " | ".join(row) + " |" for row in rows)
    else:
        yield note(block.kind, block.text)
