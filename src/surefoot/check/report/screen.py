"""A report on one screen: a line for each group of clauses, then each failure in full."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable
from typing import TextIO

from surefoot.check.report.words import MARKS, count, echoes, groups, headline, parts, summary, worst
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, Clause, Report, Verdict

__all__ = ["colored", "painter", "progress", "table", "text"]

_CODES = {PASSED: "32", FAILED: "31", DIFFERS: "34", NOT_APPLICABLE: "2", "bold": "1", "dim": "2"}
_BLOCKS = ("smallest script", "reproduce")  # shown as they are, a line each


def colored(stream: TextIO) -> bool:
    """Whether to write colours: on a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def text(report: Report, *, color: bool = False, width: int = 100) -> str:
    """Write a report as text.

    Args:
        report: what to write.
        color: with ANSI colours.
        width: of a line, in characters.
    """
    paint = painter(color)
    lines = [paint("bold", headline(report)), ""]
    found = groups(report)
    margin = max((len(g) for g in found), default=0) + 2
    seen: dict[str, str] = {}
    for group, verdicts in found.items():
        lines += _group_line(group.ljust(margin), verdicts, paint, width, seen)
    lines += ["", paint(FAILED if report.failures else PASSED, summary(report))]
    lines += _wrap([f"Note: {n}" for n in report.notes], width, "")
    for verdict in report.verdicts:
        if verdict.outcome == FAILED and not echoes(verdict):
            lines += ["", *_failure(verdict, paint, width)]
    if again := [v.clause.id for v in report.verdicts if echoes(v)]:
        said = f"{MARKS[FAILED]} The same fault also shows in {', '.join(again)}."
        lines += ["", *(paint(FAILED, line) for line in _wrap([said], width, "  "))]
    return "\n".join(line.rstrip() for line in lines)


def table(reports: list[Report], *, color: bool = False, width: int = 100) -> str:
    """Write several reports as a table: a line for each, a column for each group."""
    paint = painter(color)
    names = list(dict.fromkeys(g for r in reports for g in groups(r)))
    first = max(len(r.subject) for r in reports)
    lines = [paint("bold", " " * first + "  " + "  ".join(names))]
    for report in reports:
        cells = []
        found = groups(report)
        for name in names:
            n = count(found.get(name, []))
            outcome = worst(n)
            number = str(n[outcome]) if outcome in (FAILED, DIFFERS) else ""
            cells.append(paint(outcome, f"{MARKS[outcome]} {number}".strip().ljust(len(name))))
        lines.append(f"{report.subject.ljust(first)}  " + "  ".join(cells))
    lines.append("")
    for report in reports:
        said = ", ".join(v.clause.id for v in report.failures) or ("" if report.verdicts else report.notes[0])
        if said:
            lines += _wrap([f"{report.subject}: {said}"], width, "  ")
    key = "✓ passed   ✗ failed (how many)   ● another convention (how many)   – not applicable"
    return "\n".join([line.rstrip() for line in lines] + ["", key])


def progress(stream: TextIO, subject: str = "") -> Callable[[Clause | None], None]:
    """Return what shows, on a terminal, how far it is; called with None it wipes the line."""

    def show(clause: Clause | None) -> None:
        if stream.isatty():
            line = f"{subject} {clause.group}: {clause.title}".strip() if clause else ""
            stream.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")
            stream.flush()

    return show


def painter(color: bool) -> Callable[[str, str], str]:
    """Return what colours words as an outcome; without colours, what leaves them as they are."""
    return lambda what, words: f"\033[{_CODES[what]}m{words}\033[0m" if color else words


def _group_line(
    name: str, verdicts: list[Verdict], paint: Callable[[str, str], str], width: int, seen: dict[str, str]
) -> list[str]:
    n = count(verdicts)
    examined = len(verdicts) - n[NOT_APPLICABLE]
    outcome = worst(n)
    if outcome == FAILED:
        failed = ", ".join(v.clause.id for v in verdicts if v.failed)
        said = f"{n[FAILED]} of {examined} failed: {failed}"
    elif not examined:
        reason = verdicts[0].note
        said = "not applicable, as above" if reason in seen else f"not applicable: {reason}"
        seen[reason] = verdicts[0].clause.id
    else:
        said = f"{examined - n['expected']} of {examined} passed"
    if n["expected"]:
        expected = ", ".join(v.clause.id for v in verdicts if v.expected_failure is not None)
        said += f"; failed as expected: {expected}"
    lines = _wrap([f"{MARKS[outcome]} {name}{said}"], width, " " * (len(name) + 2))
    lines = [paint(outcome, line) for line in lines]
    for v in verdicts:
        if v.outcome == DIFFERS:
            told = f"another convention: {v.note}" if v.note not in seen else f"same as {seen[v.note]}"
            seen.setdefault(v.note, v.clause.id)
            said = f"{' ' * (len(name) + 2)}{MARKS[DIFFERS]} {v.clause.id}: {told}"
            lines += [paint(DIFFERS, line) for line in _wrap([said], width, " " * (len(name) + 4))]
    return lines


def _failure(verdict: Verdict, paint: Callable[[str, str], str], width: int) -> list[str]:
    kind = FAILED if verdict.failed else NOT_APPLICABLE
    lines = [paint(kind, f"{MARKS[kind]} {verdict.clause.id}: {verdict.clause.title}")]
    for label, words in parts(verdict):
        if verdict.expected_failure is not None and label != "expected because":
            continue  # it is known already
        if label in _BLOCKS:
            lines += [f"  {paint('dim', label)}", *(f"    {line}" for line in words.splitlines())]
        else:
            head = f"  {label.ljust(15)} "
            lines += _wrap([head + words.splitlines()[0]], width, " " * 18)
            for line in words.splitlines()[1:]:
                lines += _wrap([" " * 18 + line], width, " " * 18)
    return lines


def _wrap(paragraphs: list[str], width: int, indent: str) -> list[str]:
    return [
        line
        for p in paragraphs
        for line in textwrap.wrap(
            p, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]
