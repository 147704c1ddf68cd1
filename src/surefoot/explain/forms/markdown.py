"""An explanation as Markdown: a table for each tensor and step; it reads well before it is rendered, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from surefoot.explain.forms.document import Block, Facts, Heading, Note, Side, Table, Work, document
from surefoot.explain.forms.pen import Pen

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["markdown", "note", "safe"]


def markdown(explanation: Explanation) -> str:
    """Write an explanation as Markdown with tables (as GitHub has them)."""
    blocks = list(document(explanation, Pen(explanation.numerals)))
    pieces: list[str] = []
    for before, block in zip([None, *blocks], blocks, strict=False):
        piece = "\n".join(_write(block))
        listed = (
            isinstance(block, Note) and isinstance(before, Note) and block.kind == before.kind == "theory"
        )
        pieces.append(piece if not pieces else f"\n{piece}" if listed else f"\n\n{piece}")
    return "".join(pieces)


def _write(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"{'#' * (block.level + 1)} {safe(block.text)}"
        if block.facts:
            yield ""
            yield _facts(block.facts)
    elif isinstance(block, Facts):
        yield _facts(block.items)
    elif isinstance(block, Work):
        yield f"| {safe(block.name)} | formula | with numbers | result |"
        yield "|:--|:--|:--|:--|"
        for row in block.rows:
            left, formula, numbers, result = map(safe, row)
            yield f"| {left} | {formula} | {numbers} | **{result}** |"
    elif isinstance(block, Side):
        yield "| | " + " | ".join(map(safe, block.columns)) + " |"
        yield "|:--" * (len(block.columns) + 1) + "|"
        for k, (label, entries) in enumerate(block.rows):
            cells = [safe(entry) or "–" for entry in entries]
            if block.marked and block.marked[0] == k:
                cells[block.marked[1]] = f"**{cells[block.marked[1]]}** ◀ first difference"
            yield f"| {safe(label)} | " + " | ".join(cells) + " |"
    elif isinstance(block, Table):
        heads, *rows = block.rows
        yield "| " + " | ".join(map(safe, heads)) + " |"
        yield "|:--" * len(heads) + "|"
        yield from ("| " + " | ".join(map(safe, row)) + " |" for row in rows)
    else:
        yield note(block.kind, safe(block.text))


def note(kind: str, text: str) -> str:
    """Write a sentence as its kind is set."""
    return {
        "new": f"*New:* {text}",
        "part": f"> {text}",
        "closing": f"**{text}**",
        "checks": f"*{text}*",
    }.get(kind, text)


def _facts(items: tuple[str, ...]) -> str:
    return " · ".join(map(safe, items))


def safe(text: str) -> str:
    """Keep what Markdown would take for markup."""
    for character in "\\|*_<`":
        text = text.replace(character, f"\\{character}")
    return text
