"""What a check says: one Verdict per clause, and the Report that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from surefoot.check.protocol import Options
from surefoot.errors import InputError, nearest

__all__ = [
    "CHANGED",
    "DIFFERS",
    "FAILED",
    "NOT_APPLICABLE",
    "OUTCOMES",
    "PASSED",
    "REFUSED",
    "SHARED_COUNT",
    "Clause",
    "Outcome",
    "Report",
    "Verdict",
]

Outcome: TypeAlias = str  # one of OUTCOMES

PASSED, FAILED, DIFFERS, NOT_APPLICABLE = "passed", "failed", "differs", "not applicable"
CHANGED = "changed"  # in the options that a failure takes: one that a script changes on the way
OUTCOMES = (PASSED, FAILED, DIFFERS, NOT_APPLICABLE)

# what both parts of a check may find, in the same words
REFUSED = "it cannot be constructed: "  # a note's beginning
ENDS = "A step that never returns, or kills its process, ends the training."
MEND_END = "Run the lines below in a debugger, or press Ctrl-C: the traceback shows where it was."
SHARED_COUNT = (
    "steps are counted per group, not per parameter, as in Keras, optax and apex: a parameter whose first "
    "gradient comes late starts at the others' count, and so does all that depends on the count, such as "
    "bias correction or a built-in schedule"
)


@dataclass(frozen=True)
class Clause:
    """One thing that is examined: id, group on the screen, title, why it matters, how to mend it.

    `quick`: part of --quick.
    """

    id: str
    group: str
    title: str
    why: str = ""
    mend: str = ""
    quick: bool = field(default=False, kw_only=True)

    def verdict(self, outcome: Outcome, **what: Any) -> Verdict:
        """Pass judgement on this clause."""
        return Verdict(self, outcome, **what)


@dataclass(frozen=True)
class Verdict:
    """What came of one clause.

    Args:
        clause: what was examined.
        outcome: "passed", "failed", "differs" (another known convention: no error) or "not applicable".
        note: one line: why it does not apply, which convention it is, or the failure in short.
        expected: what was expected; of arithmetic, the rule's line in numbers.
        got: what came instead.
        where: where they first part: step, tensor, element.
        options: the options under which it fails, without those that do not matter.
        diagnosis: the known mistake or convention that reproduces what came, if one does.
        same_as: the id of the clause that has told this fault in full, if this only shows it again.
        script: the smallest script that still fails, if a script found it.
        repro: a few lines with torch alone that show the fault: their last assert fails, or they raise.
        why: why it matters, where that is more precise than what the clause says.
        mend: how to mend it, where that is more precise than the clause's own advice.
        expected_failure: the reason the user gave for expecting this failure.
    """

    clause: Clause
    outcome: Outcome
    note: str = ""
    expected: str = ""
    got: str = ""
    where: str = ""
    options: Options = field(default_factory=dict)
    diagnosis: str = ""
    same_as: str = ""
    script: str = ""
    repro: str = ""
    why: str = ""
    mend: str = ""
    expected_failure: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it counts against the optimizer."""
        return self.outcome == FAILED and self.expected_failure is None


@dataclass(frozen=True)
class Report:
    """Everything a check found; `print(report)` shows it, a notebook displays it.

    Args:
        subject: what was examined, as the user named it.
        rule: the rule it was held against, or None.
        verdicts: in the order of examination.
        options: the options that the user gave.
        notes: facts about the whole run: which rule was guessed and why, what it printed.
        seconds: how long it took.
    """

    subject: str
    rule: str | None
    verdicts: tuple[Verdict, ...]
    options: Options = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts that count against the optimizer."""
        return tuple(v for v in self.verdicts if v.failed)

    @property
    def examined(self) -> bool:
        """Whether any clause could be held against it; of those on the process, which no step need pass."""
        told = [v for v in self.verdicts if v.clause.group != "process"] or self.verdicts
        return any(v.outcome != NOT_APPLICABLE for v in told)

    def __getitem__(self, id: str) -> Verdict:
        """Return the verdict of a clause, by its id.

        Raises:
            InputError: that clause was not examined.
        """
        for verdict in self.verdicts:
            if verdict.clause.id == id:
                return verdict
        near = nearest(id, [v.clause.id for v in self.verdicts])
        hint = f"{near}?" if near else ", or there is no such clause."
        raise InputError(f"Clause {id!r} was not examined{hint}")

    def expecting(self, failures: Mapping[str, str]) -> Report:
        """Mark failures that were expected: they no longer count. Note what was to fail, and does not.

        Nor does one that only shows again what expected ones have told.
        """
        from surefoot.check.report.words import told_by

        def reason(v: Verdict) -> str | None:
            told = [x.clause.id for x in told_by(v, self.verdicts)]
            again = failures[told[0]] if told and all(id in failures for id in told) else None
            return failures.get(v.clause.id, again)

        marked = [replace(v, expected_failure=reason(v)) if v.outcome == FAILED else v for v in self.verdicts]
        idle = [v.clause.id for v in self.verdicts if v.clause.id in failures and v.outcome != FAILED]
        notes = tuple(f"{id} was expected to fail ({failures[id]}), but does not." for id in idle)
        examined = {v.clause.id for v in self.verdicts}
        left = (id for id in failures if id not in examined)
        notes += tuple(f"{id} was expected to fail, but was not examined." for id in left)
        return replace(self, verdicts=tuple(marked), notes=(*self.notes, *notes))

    def json(self) -> str:
        """Write it as JSON."""
        from surefoot.check.report import as_json

        return as_json([self])

    def markdown(self) -> str:
        """Write it as Markdown: a table of groups, then the failures."""
        from surefoot.check.report import markdown

        return markdown([self])

    def html(self) -> str:
        """Write it as a page of HTML, complete in itself."""
        from surefoot.check.report import html

        return html([self])

    def junit(self) -> str:
        """Write it as JUnit XML: a case for each clause."""
        from surefoot.check.report import junit

        return junit([self])

    def __repr__(self) -> str:
        from surefoot.check.report.words import headline

        failed = f"{len(self.failures) or 'none'} of {len(self.verdicts)} clauses failed"
        return f"<Report: {headline(self)}: {failed if self.examined else 'nothing could be examined'}>"

    def __str__(self) -> str:
        from surefoot.check.report import text

        return text(self)

    def _repr_html_(self) -> str:
        from surefoot.check.report import html_fragment

        return html_fragment(self)
