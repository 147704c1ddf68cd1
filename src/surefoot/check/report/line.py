"""A failure, and a whole report, in one line each: for a table, a spreadsheet, a test's summary."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.check.report.words import echoes, short, told_by, unjudged
from surefoot.check.verdict import Report, Verdict

__all__ = ["diagnosis", "line"]

_ASIDE = " This reproduces "  # the sentence of a diagnosis that says how sure it is


def diagnosis(report: Report) -> str:
    """What is wrong with an optimizer, by its first failure; nothing if all is as it should be."""
    if not report.failures:
        return "the arithmetic was not judged" if unjudged(report) else ""
    told = [v for v in report.failures if not echoes(v)] or report.failures
    more = len(told) - 1
    said = f" (and {more} more failure{'s' * (more > 1)})" if more else ""
    return f"{told[0].clause.id}: {line(told[0])}{said}"


def line(verdict: Verdict, verdicts: Sequence[Verdict] = ()) -> str:
    """Say why a clause failed: by its diagnosis, or else by what came of it, and where.

    Args:
        verdict: of a clause that failed.
        verdicts: all of the report, among which is the one that has told the same fault.
    """
    told = next(iter(told_by(verdict, verdicts)), verdict)
    if told.diagnosis:
        said = told.diagnosis.partition(_ASIDE)[0]
    elif "exception" in told.expected:
        said = ", ".join([*told.got.splitlines(), *([told.where] if told.where.startswith("line ") else [])])
    else:
        said = f"{short(told)}; {told.where}" if told.where else short(told)
    return " ".join(said.split())
