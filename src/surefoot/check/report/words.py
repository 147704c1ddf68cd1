"""The words that every form of a report shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surefoot.check.protocol import Options
from surefoot.check.verdict import CHANGED, DIFFERS, FAILED, NOT_APPLICABLE, OUTCOMES, PASSED, Report, Verdict

__all__ = [
    "MARKS",
    "count",
    "echoes",
    "groups",
    "headline",
    "parts",
    "settings",
    "short",
    "summary",
    "told_by",
    "unjudged",
    "worst",
]

MARKS = {PASSED: "✓", FAILED: "✗", DIFFERS: "●", NOT_APPLICABLE: "–"}


def headline(report: Report) -> str:
    """Say what was examined, and against what."""
    rule = f"against rule {report.rule}" if report.rule else "against the contract alone"
    given = f", {settings(report.options)}" if report.options else ""
    return f"{report.subject}{given}, {rule}"


def settings(options: Options) -> str:
    """Write options as they are written in a call, and those that change during a run."""
    return ", ".join(
        f"{name} changed" if value == CHANGED else f"{name}={value!r}" for name, value in options.items()
    )


def groups(report: Report) -> dict[str, list[Verdict]]:
    """Return the verdicts by clause group, in the order of examination."""
    found: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        found.setdefault(verdict.clause.group, []).append(verdict)
    return found


def count(verdicts: list[Verdict]) -> dict[str, int]:
    """Return how many there are of each outcome; an expected failure is counted as such."""
    counts = dict.fromkeys((*OUTCOMES, "expected"), 0)
    for v in verdicts:
        counts["expected" if v.outcome == FAILED and not v.failed else v.outcome] += 1
    return counts


def worst(counts: Mapping[str, int]) -> str:
    """Return the outcome to show for a group, by its counts; expected failures aside."""
    return next((o for o in (FAILED, DIFFERS, PASSED) if counts[o]), NOT_APPLICABLE)


def summary(report: Report) -> str:
    """Write the counts and the time in one line."""
    n = count(list(report.verdicts))
    names = {
        PASSED: "passed",
        FAILED: "failed",
        "expected": "failed as expected",
        DIFFERS: "another convention",
        NOT_APPLICABLE: "not applicable",
    }
    said = {o: f"{n[o]} {name}" for o, name in names.items() if n[o]}
    told = sum(v.failed and not echoes(v) for v in report.verdicts)
    if told < n[FAILED]:
        said[FAILED] += f" ({told} reported below, the others show the same)"
    aside = "; the arithmetic was not judged" if unjudged(report) else ""
    return f"{', '.join(said.values()) or 'nothing examined'}{aside} ({report.seconds:.1f} s)"


def unjudged(report: Report) -> bool:
    """Whether the arithmetic was to be examined, and was held against no rule."""
    found = groups(report).get("arithmetic", [])
    return report.examined and bool(found) and all(v.outcome == NOT_APPLICABLE for v in found)


def echoes(verdict: Verdict) -> bool:
    """Whether a failure only shows again what another one has told in full."""
    return verdict.failed and bool(verdict.same_as)


def told_by(verdict: Verdict, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The failures that tell in full what this one only shows again; of several, any may be the one."""
    if not echoes(verdict):
        return []
    others = [v for v in verdicts if v.outcome == FAILED and not echoes(v)]
    named = [v for v in others if v.clause.id == verdict.same_as]
    # what it was told by may itself have turned out to be no failure
    return named or [v for v in others if v.clause.group == verdict.clause.group]


def _claim(verdict: Verdict) -> bool:
    """Whether a failure is nothing but that something should be so, and is not."""
    return (verdict.expected, verdict.got) == ("True", "False")


def short(verdict: Verdict) -> str:
    """Say in a line what a failure is about, where nothing stands beside it."""
    return f"not true: {verdict.note}" if _claim(verdict) else verdict.note


def parts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield what a failure says, part by part: a label and a text."""
    clause = verdict.clause
    claim = _claim(verdict)
    told: dict[str, Any] = {
        "not true" if claim else "raised" if verdict.expected == "no exception" else "what": verdict.note,
        "expected": "" if claim else verdict.expected,
        "got": verdict.got if verdict.got != verdict.note and not claim else "",
        "where": verdict.where,
        "with": settings(verdict.options),
        "diagnosis": verdict.diagnosis,
        "why": verdict.why or clause.why,
        "how to fix": verdict.mend or clause.mend,
        "expected because": verdict.expected_failure or "",
        "smallest script": verdict.script,
        "reproduce": verdict.repro,
    }
    yield from ((label, text.rstrip()) for label, text in told.items() if text)
