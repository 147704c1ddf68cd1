"""A report for machines and for pages: JSON, Markdown, JUnit."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from surefoot.check.report.words import MARKS, groups, headline, parts, short, summary
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, Report, Verdict

__all__ = ["as_json", "junit", "markdown", "plain"]

_CODE = ("smallest script", "reproduce", "expected", "got")


def as_json(reports: list[Report]) -> str:
    """Write one report as an object, several as a list."""
    told = [plain(r) for r in reports]
    return json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False, default=str)


def plain(report: Report) -> dict[str, Any]:
    """A report as JSON holds it."""
    return {
        "subject": report.subject,
        "rule": report.rule,
        "options": dict(report.options),
        "ok": report.ok,
        "seconds": round(report.seconds, 3),
        "notes": list(report.notes),
        "verdicts": [
            {
                "id": v.clause.id,
                "group": v.clause.group,
                "title": v.clause.title,
                "outcome": v.outcome,
                **({"note": v.note} if v.note and v.outcome != FAILED else {}),
                **({label.replace(" ", "_"): t for label, t in parts(v)} if v.outcome == FAILED else {}),
            }
            for v in report.verdicts
        ],
    }


def markdown(reports: list[Report]) -> str:
    """Write reports as Markdown: a table of groups, then the failures."""
    lines: list[str] = []
    for report in reports:
        lines += [f"# {headline(report)}", "", "| | clauses | |", "|---|---|---|"]
        for group, verdicts in groups(report).items():
            said = [f"{MARKS[v.outcome]} `{v.clause.id}`" for v in verdicts]
            notes = [f"`{v.clause.id}`: {v.note}" for v in verdicts if v.outcome == DIFFERS]
            lines.append(f"| {group} | {' '.join(said)} | {'; '.join(notes)} |")
        lines += ["", summary(report), *(f"\nNote: {n}" for n in report.notes)]
        for verdict in report.verdicts:
            if verdict.outcome == FAILED:
                lines += ["", f"## {MARKS[FAILED]} `{verdict.clause.id}`: {verdict.clause.title}", ""]
                for label, words in parts(verdict):
                    lines += _markdown_part(label, words)
        lines.append("")
    return "\n".join(lines)


def _markdown_part(label: str, words: str) -> list[str]:
    if label in _CODE:
        return [f"**{label}**", "", "```python" if label == "reproduce" else "```", words, "```", ""]
    return [f"**{label}** {words}", ""]


def junit(reports: list[Report]) -> str:
    """Write reports as JUnit XML: a suite for each report, a case for each clause."""
    suites = ElementTree.Element("testsuites")
    for report in reports:
        skipped = sum(_skipped(v) is not None for v in report.verdicts)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=f"surefoot check {report.subject}",
            tests=str(len(report.verdicts)),
            failures=str(len(report.failures)),
            errors="0",
            skipped=str(skipped),
            time=f"{report.seconds:.3f}",
        )
        for v in report.verdicts:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{report.subject}.{v.clause.group}", name=v.clause.id
            )
            if (reason := _skipped(v)) is not None:
                ElementTree.SubElement(case, "skipped", message=_xml(reason))
            elif v.failed:
                failure = ElementTree.SubElement(case, "failure", message=_xml(short(v)), type=v.clause.id)
                failure.text = _xml("\n".join(f"{label}: {words}" for label, words in parts(v)))
            elif v.note:
                ElementTree.SubElement(case, "system-out").text = _xml(v.note)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _skipped(v: Verdict) -> str | None:
    if v.outcome == NOT_APPLICABLE:
        return v.note
    return f"expected: {v.expected_failure}" if v.outcome == FAILED and not v.failed else None


def _xml(words: str) -> str:
    """Leave out what XML cannot hold: control characters from an exception's text."""
    return "".join(c for c in words if c in "\n\t" or c >= " ")
