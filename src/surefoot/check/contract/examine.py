"""The contract, examined: which clause is run with which options, and what its claims amount to."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from surefoot.check.contract.clause import Probed
from surefoot.check.contract.clauses import CLAUSES
from surefoot.check.contract.facts import UNREADY
from surefoot.check.contract.faults import fault_of
from surefoot.check.contract.judge import Finding
from surefoot.check.contract.mending import MEND_CLOSURE, advice, instead
from surefoot.check.contract.questions import Questions
from surefoot.check.contract.repro import reproduction
from surefoot.check.contract.settings import alternatives
from surefoot.check.protocol import Died, Examination, Options, Patient, Plan
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, REFUSED, Verdict
from surefoot.errors import InputError

__all__ = ["examine"]


GIVEN_A_CLOSURE = (
    "Its step() calls the closure even if none is given; in all clauses but `steps` it gets one that does "
    "nothing."
)
# facts on which a comparison rests: they are asked once more with the very options that a failure takes
COMPARING = ("repeatable", "uncoupled", "elementwise")


def examine(patient: Patient, plan: Plan) -> Examination:
    """Hold an optimizer against every clause of the contract.

    An exception that every step() raises after its update is set aside at once, for whatever else is asked.

    Returns:
        The Examination; its verdicts are made while they are read.

    Raises:
        InputError: it is made of something else than parameters.
    """
    work = _Work(patient)
    hurdle = work.hurdle()
    said = [s for s in (work.needs, "" if hurdle else work.of_its_own()) if s]
    if patient.signature.calls_none and not hurdle:
        said.append(GIVEN_A_CLOSURE)
    if work.questions.aside:
        said.append(
            f"Every step() raises {work.questions.aside} after its update; all clauses but `steps` ignore "
            "that."
        )
    return Examination(work.verdicts(plan, hurdle), " ".join(said))


class _Work:
    """One examination under way: what it was said to need, and which faults have been told."""

    def __init__(self, patient: Patient) -> None:
        self.patient, self.questions = patient, Questions(patient)
        self.needs = ""  # the sentence that says what the constructor needs
        self.told: dict[Any, str] = {}  # fault → the clause that told of it
        self.first: Verdict

    def verdicts(self, plan: Plan, hurdle: str) -> Iterator[Verdict]:
        """Yield the verdict of each clause that is wanted."""
        for clause in CLAUSES.values():
            if not plan.wants(clause):
                continue
            if clause.deep and not plan.deep:
                yield clause.verdict(NOT_APPLICABLE, note="takes long; use --deep to include it")
            elif clause.id == "steps" and self.patient.signature.calls_none:
                yield self.calls_none(clause)
            elif hurdle and not self.despite(clause):
                yield clause.verdict(NOT_APPLICABLE, note=hurdle)
            elif clause.id == "no-warnings":
                yield self.first
            elif clause.id == "steps" and self.questions.aside:
                self.patient.tolerate("")
                yield self.verdict(clause)
                self.patient.tolerate(self.questions.aside)
            else:
                yield self.verdict(clause)

    def hurdle(self) -> str:
        """Say why nothing can be examined, if so; an exception after the update is set aside instead."""
        if self.patient.given.get("differentiable"):
            return "with differentiable=True it steps non-leaf tensors; the probes only have leaves"
        if self.patient.signature.needs_closure:
            return "its step() needs a closure and decides when to evaluate it, so gradients cannot be chosen"
        refused = self.questions.fact("constructs")
        if said := instead(self.patient.signature.name, str(refused)):
            raise InputError(said)
        if refused and not self.constructs_with_more(str(refused)):
            return f"{REFUSED}{refused}"
        # torch warns of a deprecated call once in a process, so this comes before any other step
        self.first = self.verdict(CLAUSES["no-warnings"])
        finding = self.questions.ask(CLAUSES["steps"], {}, {})
        if finding.outcome == PASSED:
            return ""
        if finding.raised and not self.questions.fact("moves anyway"):
            self.questions.set_aside(finding.raised["kind"])
            return ""
        self.told.clear()  # what no-warnings came upon is not told there, since it is not shown
        if finding.note.startswith("no parameter moves"):
            return finding.note
        return f"its plain step fails: {finding.note}"

    def constructs_with_more(self, refused: str) -> bool:
        """Whether one more option makes the constructor accept, as a convention needs momentum."""
        for option, value in alternatives(self.patient.signature):
            if option not in self.patient.given:
                self.questions.base = {option: value}
                if self.questions.find("constructs") is None:
                    self.needs = f"The contract is examined with {option}={value}; without it, {refused}."
                    return True
        self.questions.base = {}
        return False

    def of_its_own(self) -> str:
        """Say, if so, that it is no torch.optim.Optimizer, and what it lacks."""
        if not self.questions.of_its_own:
            return ""
        _, missing = self.questions.ask(CLAUSES["is-optimizer"], {}, {}).values
        lacks = f"it has no {', '.join(missing)}" if isinstance(missing, list) and missing else ""
        what = f"is not a torch.optim.Optimizer{lacks and ': '}{lacks}"
        if self.questions.fact("an optimizer") == UNREADY:
            what = f"derives from torch.optim.Optimizer, but is not initialized: {lacks}, since {UNREADY}"
        return (
            f"{self.patient.signature.name} {what}. "
            "Clauses that need those are not applicable; the rest is examined."
        )

    def calls_none(self, clause: Probed) -> Verdict:
        """Write up a step() that calls a closure which it was not given, as no other question shows it."""
        signature = self.patient.signature
        if not signature.needs_closure:  # it is then given one, by a class that is derived from it
            bare = signature.imports.rpartition("\n\nclass ")[0]
            signature = dataclasses.replace(signature, imports=bare)
        used = signature.call(self.questions.given)
        return clause.verdict(
            FAILED,
            note="TypeError: 'NoneType' object is not callable",
            expected="no exception",
            got="TypeError: 'NoneType' object is not callable",
            diagnosis="step() calls the closure even if it is None.",
            mend=MEND_CLOSURE,
            repro=reproduction(clause.probe, signature, used, {}, None),
        )

    def despite(self, clause: Probed) -> bool:
        """Whether a clause can be examined although a plain step cannot be made."""
        if self.patient.given.get("differentiable"):
            return False
        return clause.group == "closure" if self.patient.signature.needs_closure else clause.id == "steps"

    def verdict(self, clause: Probed) -> Verdict:
        """Examine one clause, over its settings and cases."""
        for need in clause.needs:
            if why := self.questions.fact(need):
                return clause.verdict(FAILED if isinstance(why, Died) else NOT_APPLICABLE, note=str(why))
        findings = []
        for options in self.questions.settings(clause):
            failed: dict[Any, tuple[Finding, Mapping[str, Any]]] = {}
            shown: set[Any] = set()
            for case in self.questions.cases(clause):
                key = case.get(clause.each)
                if clause.each and key in shown:
                    continue
                finding = self.questions.ask(clause, case, options)
                findings.append(finding)
                if finding.outcome == FAILED and not clause.each:
                    return self.failure(clause, case, options, finding)
                if finding.outcome == FAILED:
                    failed.setdefault(key, (finding, case))
                elif finding.outcome == PASSED:
                    shown.add(key)
            for key, (finding, case) in failed.items():
                if key in shown:
                    continue
                if why := self.questions.again("unread", options, option=key):
                    findings.append(Finding(NOT_APPLICABLE, why))
                    continue
                return self.failure(clause, case, options, finding)
        outcomes = [f.outcome for f in findings]
        if DIFFERS in outcomes:
            return clause.verdict(DIFFERS, note=findings[outcomes.index(DIFFERS)].note)
        if PASSED in outcomes:
            return clause.verdict(PASSED)
        notes = (f.note for f in findings if f.outcome == NOT_APPLICABLE)
        note = next(notes, "it has none of the options that this tests")
        return clause.verdict(NOT_APPLICABLE, note=note)

    def echo(self, clause: Probed, options: Options, finding: Finding, fault: Any) -> Verdict:
        """Write up what another clause has told."""
        from surefoot.check.report.words import short  # no worker needs to have imported all of a report

        said = f"This is the same fault as in {self.told[fault]}."
        whole = clause.verdict(FAILED, note=finding.note, expected=finding.expected, got=finding.got)
        return clause.verdict(
            FAILED, note=short(whole), options=options, diagnosis=said, same_as=self.told[fault]
        )

    def failure(self, clause: Probed, case: Mapping[str, Any], options: Options, finding: Finding) -> Verdict:
        """Write a failure up: with as few options as it needs, and the lines that reproduce it."""
        fault = fault_of(clause, case, options, finding, self.questions, self.told)
        if fault in self.told:
            return self.echo(clause, options, finding, fault)
        if fault:
            self.told[fault] = clause.id
        with self.patient.hurried(1.0) if finding.died else contextlib.nullcontext():
            for option in list(options):
                fewer = {o: v for o, v in options.items() if o != option}
                again = self.questions.ask(clause, case, fewer)
                if again.outcome == FAILED and again.died == finding.died:
                    options, finding = fewer, finding if finding.died else again
        if finding.raised:  # with fewer options another line may raise, of which another clause has told
            shown = tuple(finding.raised.values())
            if self.told.setdefault(shown, clause.id) != clause.id:
                return self.echo(clause, options, finding, shown)
        for need in clause.needs:
            compared = need in COMPARING and finding.claim is not None
            if compared and (why := self.questions.again(need, options)):
                return clause.verdict(NOT_APPLICABLE, note=why)
        used = {**self.patient.signature.call(self.questions.given), **options}
        repro = reproduction(clause.probe, self.patient.signature, used, case, finding.claim)
        return clause.verdict(
            FAILED,
            note=finding.note,
            expected=finding.expected,
            got=finding.got,
            where=finding.where,
            options={**self.questions.base, **options},
            repro=repro,
            **advice(clause, case, finding, options, self.questions, fault),
        )
