"""A class's homework written out: a table for the screen, CSV, JSON, and a page for each submission."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.check.choose import NOT_ASKED
from surefoot.check.report.data import plain
from surefoot.check.report.page import html
from surefoot.check.report.screen import painter
from surefoot.check.verdict import FAILED, NOT_APPLICABLE, PASSED

if TYPE_CHECKING:
    from surefoot.check.folder import Submission

__all__ = ["as_csv", "as_json", "pages", "table"]

_LOOKS = {
    "passed": (PASSED, "✓"),
    "failed": (FAILED, "✗"),
    "not examined": (NOT_APPLICABLE, "–"),
}
_COLUMNS = ("file", "class", "verdict", "diagnosis")


def table(found: Sequence[Submission], *, color: bool = False, width: int = 100) -> str:
    """Write a row for each submission, and how many there are of each verdict."""
    paint = painter(color)
    rows = [(s.file, s.name, f"{_LOOKS[s.verdict][1]} {s.verdict}") for s in found]
    heads = ("file", "class", "verdict")
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    indent = sum(wide) + 2 * len(wide)
    lines = [paint("bold", _row((*heads, "diagnosis"), wide))]
    for s, row in zip(found, rows, strict=True):
        said = _wrapped(s.diagnosis, width, indent)
        lines += [paint(_LOOKS[s.verdict][0], _row((*row, said[0]), wide)), *said[1:]]
    counts = {v: sum(s.verdict == v for s in found) for v in _LOOKS}
    seconds = sum(s.report.seconds for s in found)
    told = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    notes = dict.fromkeys(n for s in found for n in s.report.notes if n.startswith(NOT_ASKED))
    lines += ["", f"{told} ({seconds:.1f} s)"]
    return "\n".join([*lines, *(line for n in notes for line in _lines(f"Note: {n}", width))])


def _row(cells: Sequence[str], wide: Sequence[int]) -> str:
    return "  ".join([*(c.ljust(w) for c, w in zip(cells, wide, strict=False)), cells[-1]]).rstrip()


def _wrapped(words: str, width: int, indent: int) -> list[str]:
    """The lines of the last column; where the others leave it no room, they begin below the row."""
    if width - indent < 40:
        return ["", *(f"    {line}" for line in _lines(words, width - 4))]
    first, *others = _lines(words, width - indent) or [""]
    return [first, *(" " * indent + line for line in others)]


def _lines(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)


def as_csv(found: Sequence[Submission]) -> str:
    """Write the table as CSV, with the ids of all clauses that failed."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*_COLUMNS, "failed clauses"])
    for s in found:
        failed = " ".join(v.clause.id for v in s.report.failures)
        rows.writerow([s.file, s.name, s.verdict, s.diagnosis, failed])
    return text.getvalue()


def as_json(found: Sequence[Submission]) -> str:
    """Write a list with an object for each submission: its row of the table, and its whole report."""
    told = [
        {**dict(zip(_COLUMNS, (s.file, s.name, s.verdict, s.diagnosis), strict=True)), **plain(s.report)}
        for s in found
    ]
    return json.dumps(told, indent=2, ensure_ascii=False, default=str)


def pages(found: Sequence[Submission], folder: Path) -> None:
    """Write each report into a folder, as a page of its own, named after the file.

    Where several files have one name, it is that of their folders, too; of several classes in a file, also
    the class's.
    """
    stems = Counter(Path(s.file).stem for s in found)
    files = Counter(s.file for s in found)
    for s in found:
        name = Path(s.file).stem
        if stems[name] > files[s.file]:
            name = re.sub(r"[\\/:.]+", "-", os.path.splitext(os.path.normpath(s.file))[0]).strip("-")
        if files[s.file] > 1:
            name += f"-{s.name}"
        (folder / f"{name}.html").write_text(html([s.report]), encoding="utf-8")
