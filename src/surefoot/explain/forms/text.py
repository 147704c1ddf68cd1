"""An explanation for a terminal: columns of formula, numbers put in, result; coloured if asked."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.explain.forms.document import Block, Facts, Heading, Note, Row, Side, Table, Work, document
from surefoot.explain.forms.pen import Pen

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["text"]

_STYLES = {"bold": "1", "dim": "2", "new": "36", "part": "1;33", "closing": "32"}


def text(explanation: Explanation, *, width: int = 100, color: bool = False) -> str:
    """Lay an explanation out in lines.

    Args:
        explanation: what was worked out.
        width: of the terminal; a step whose columns do not fit is written one part under the other.
        color: whether to use ANSI colours.

    Returns:
        The lines as one string, without a newline at the end.
    """
    blocks = list(document(explanation, Pen(explanation.numerals)))
    return _Page(blocks, width, color).write()


class _Page:
    """The lines being laid out; columns are as wide in every step."""

    def __init__(self, blocks: Sequence[Block], width: int, color: bool) -> None:
        self.blocks, self.width, self.color = blocks, max(width, 20), color
        works = [b for b in blocks if isinstance(b, Work)]
        rows = [row for b in works for row in b.rows]
        self.names = max((columns(b.name) for b in works), default=0)
        self.widths = [max((columns(row[i]) for row in rows), default=0) for i in range(4)]
        signs = 3 * sum(w > 0 for w in self.widths[1:])
        self.stacked = 2 + self.names + 2 + sum(self.widths) + signs > self.width
        self.lines: list[str] = []

    def write(self) -> str:
        for before, block in zip([None, *self.blocks], self.blocks, strict=False):
            if isinstance(block, Heading):
                self.heading(block)
            elif isinstance(block, Facts):
                self.facts(block)
            elif isinstance(block, Work):
                self.lines += [""] * isinstance(before, Side)
                self.work(block)
            elif isinstance(block, Side):
                self.lines += [""] * (isinstance(before, Note) and before.kind == "value")
                self.side(block)
            elif isinstance(block, Table):
                self.table(block)
            else:
                self.note(block, before)
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")

    def paint(self, text: str, style: str) -> str:
        return f"\033[{_STYLES[style]}m{text}\033[0m" if self.color and text else text

    def heading(self, block: Heading) -> None:
        if block.level == 2:
            self.lines.append("")
        self.lines.append("   ".join([self.paint(block.text, "bold"), *block.facts]))

    def facts(self, block: Facts) -> None:
        line = ""
        for item in block.items:
            if line and columns(line) + 3 + columns(item) > self.width:
                self.lines.append(line)
                line = ""
            line += ("   " if line else "") + item
        self.lines.append(line)

    def work(self, block: Work) -> None:
        for i, row in enumerate(block.rows):
            name = self.paint(pad(block.name if i == 0 else "", self.names), "bold")
            left = f"  {name}  {pad(row[0], self.widths[0])}"
            parts = self.parts(row)
            if not self.stacked:
                self.lines.append(left + "".join(parts))
                continue
            indent = " " * (2 + self.names + 2 + self.widths[0])
            for k, part in enumerate(p for p in parts if p.strip()):
                self.lines.append((left if k == 0 else indent) + part)

    def parts(self, row: Row) -> list[str]:
        """The columns after the left side, each with its equals sign; result in bold, numbers dim."""
        written = []
        for i, style in ((1, ""), (2, "dim"), (3, "bold")):
            if not self.widths[i]:
                continue
            cell = pad(row[i], 0 if self.stacked or i == 3 else self.widths[i])
            written.append(f" = {self.paint(cell, style) if style else cell}" if row[i] else "   " + cell)
        return written

    def side(self, block: Side) -> None:
        labels = max(columns(label) for label, _ in block.rows)
        heads = block.columns
        widths = [max(columns(heads[i]), *(columns(r[1][i]) for r in block.rows)) for i in range(len(heads))]
        self.lines.append(
            "  "
            + " " * labels
            + "".join("   " + self.paint(pad(h, w), "dim") for h, w in zip(heads, widths, strict=True))
        )
        for k, (label, entries) in enumerate(block.rows):
            cells = []
            for i, (entry, w) in enumerate(zip(entries, widths, strict=True)):
                cell = pad(entry or "–", w)
                cells.append(self.paint(cell, "part") if block.marked == (k, i) else cell)
            mark = (
                self.paint("   ◀ first difference", "part") if block.marked and block.marked[0] == k else ""
            )
            self.lines.append("  " + pad(label, labels) + "".join("   " + c for c in cells) + mark)

    def table(self, block: Table) -> None:
        """Write it; on a terminal too narrow without its last column, the sources."""
        end = None
        if max(map(columns, block.lines)) > self.width:
            end = block.lines[0].rindex(block.rows[0][-1])
        self.lines += [self.paint(line[:end].rstrip(), "dim") for line in block.lines]

    def note(self, block: Note, before: Block | None) -> None:
        if block.kind == "value":
            self.lines.append(" " * (2 + self.names + 2) + block.text if self.names else "  " + block.text)
            return
        if block.kind == "new":
            self.wrap(block.text, "  new: ", "new")
            return
        if not (isinstance(before, Note) and before.kind == block.kind):
            self.lines.append("")
        self.wrap(block.text, "", {"part": "part", "closing": "closing"}.get(block.kind, "dim"))

    def wrap(self, text: str, lead: str, style: str) -> None:
        wrapped = textwrap.wrap(text, self.width, initial_indent=lead, subsequent_indent=" " * len(lead))
        self.lines += [self.paint(line, style) for line in wrapped]


def columns(text: str) -> int:
    """How many columns a text takes: combining accents take none."""
    return sum(not unicodedata.combining(c) for c in text)


def pad(text: str, width: int) -> str:
    """Fill up with blanks to a width in columns."""
    return text + " " * (width - columns(text))
