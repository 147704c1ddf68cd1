"""The contract, examined: which clause is run with which options, and what its claims amount to."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from surefoot.check.contract.clause import CLAUSES, Probed
from surefoot.check.contract.diagnose import diagnose
from surefoot.check.contract.judge import judge
from surefoot.check.contract.repro import reproduction
from surefoot.check.contract.settings import FLAGS, alternatives, settings
from surefoot.check.verdict import (
    DIFFERS,
    FAILED,
    NOT_APPLICABLE,
    PASSED,
    Died,
    Options,
    Patient,
    Plan,
    Verdict,
)

__all__ = ["Examination", "examine"]

# what a step may raise to say that it does not do something; anything else is a fault
SAYS_SO = ("NotImplementedError", "RuntimeError", "ValueError", "AssertionError")
APART = ("lr", "dampening", *FLAGS)  # not part of the rich setting: they exclude others, or are flags


@dataclass(frozen=True)
class Finding:
    """What one question came to: an outcome, and what goes with it."""

    outcome: str
    what: Mapping[str, Any]


@dataclass(frozen=True)
class Examination:
    """An examination about to be made: what had to be set aside for it, and its verdicts as they come."""

    aside: str
    verdicts: Iterator[Verdict] = field(repr=False)


def examine(patient: Patient, plan: Plan) -> Examination:
    """Hold an optimizer against every clause of the contract.

    An exception that every step() raises after its update is set aside at once, for whatever else is asked.

    Returns:
        The Examination; its verdicts are made while they are read.
    """
    work = _Work(patient)
    hurdle = work.hurdle()
    said = [work.needs] if work.needs else []
    if work.aside:
        said.append(f"Every step() raises {work.aside} after its update; beyond `steps` that is set aside.")
    return Examination(" ".join(said), work.verdicts(plan, hurdle))


class _Work:
    """What has been found out about one patient: facts, and which settings it can be run with."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.facts: dict[str, str | Died | None] = {}
        self.usable: dict[tuple[Any, ...], bool] = {}
        self.aside = ""  # the exception that is set aside
        self.base: dict[str, Any] = {}  # what the constructor needs besides what the user gave
        self.needs = ""  # the sentence that says so
        self.first: Verdict

    def verdicts(self, plan: Plan, hurdle: str) -> Iterator[Verdict]:
        """Yield the verdict of each clause that is wanted."""
        for clause in CLAUSES.values():
            if not plan.wants(clause) or (plan.quick and not clause.quick):
                continue
            if clause.deep and not plan.deep:
                yield clause.verdict(NOT_APPLICABLE, note="takes long; asked for with --deep")
            elif hurdle and not self.despite(clause):
                yield clause.verdict(NOT_APPLICABLE, note=hurdle)
            elif clause.id == "no-warnings":
                yield self.first
            elif clause.id == "steps" and self.aside:
                self.patient.tolerate("")
                yield self.verdict(clause)
                self.patient.tolerate(self.aside)
            else:
                yield self.verdict(clause)

    def hurdle(self) -> str:
        """Say why nothing can be examined, if so; an exception after the update is set aside instead."""
        if self.patient.signature.needs_closure:
            return "its step() needs a closure and evaluates it as it likes, so gradients cannot be chosen"
        if (refused := self.fact("constructs")) and not self.constructs_with_more(str(refused)):
            return f"it cannot be constructed: {refused}"
        # torch warns of a deprecated call once in a process, so this comes before any other step
        self.first = self.verdict(CLAUSES["no-warnings"])
        finding = self.ask(CLAUSES["steps"], {}, {})
        if finding.outcome == PASSED:
            return ""
        raised = finding.what.get("raised")
        if raised and not self.fact("moves anyway"):
            self.aside = raised["kind"]
            self.patient.tolerate(self.aside)
            self.usable.clear()
            return ""
        return f"its plain step does not work: {finding.what['note']}"

    def constructs_with_more(self, refused: str) -> bool:
        """Whether one more option makes the constructor accept, as a convention needs momentum."""
        for option, value in alternatives(self.patient.signature):
            if option not in self.patient.given:
                self.base = {option: value}
                if self._find("constructs") is None:
                    self.needs = f"The contract is examined with {option}={value}; without, {refused}."
                    return True
        self.base = {}
        return False

    @property
    def given(self) -> dict[str, Any]:
        """What every question is put with."""
        return {**self.patient.given, **self.base}

    def despite(self, clause: Probed) -> bool:
        """Whether a clause can be examined although a plain step cannot be made."""
        return clause.group == "closure" if self.patient.signature.needs_closure else clause.id == "steps"

    def fact(self, name: str) -> str | Died | None:
        """Return None if a fact holds, else the sentence why not."""
        if name not in self.facts:
            self.facts[name] = self._find(name)
        return self.facts[name]

    def _find(self, name: str) -> str | Died | None:
        if name == "a step that returns":
            return f"every step() raises {self.aside}" if self.aside else None
        if name == "optional closure":
            return "its step() needs a closure" if self.patient.signature.needs_closure else None
        try:
            plain = name in ("constructs", "moves anyway")
            answer = self.patient.observe(name, {}, {**self.base, **({} if plain else self.rich())})
        except (Died, MemoryError) as error:
            return error if isinstance(error, Died) else Died("It asked for too much memory.")
        if "raised" in answer:
            return f"{answer['raised']['kind']}: {_brief(answer['raised']['said'])}"
        return answer["claims"]  # type: ignore[no-any-return]

    def rich(self) -> dict[str, Any]:
        """Return a setting in which much is going on: all number options that go with each other."""
        chosen: dict[str, Any] = {}
        for option, value in alternatives(self.patient.signature):
            tried = {**chosen, option: value}
            if option not in APART and option not in self.given and self.works(tried):
                chosen = tried
        return chosen

    def works(self, options: Options) -> bool:
        """Whether three steps can be made with these options."""
        key = tuple(sorted((k, str(v)) for k, v in options.items()))
        if key not in self.usable:
            self.usable[key] = self.ask(CLAUSES["steps"], {}, options).outcome == PASSED
        return self.usable[key]

    def verdict(self, clause: Probed) -> Verdict:
        """Examine one clause, over its settings and cases."""
        for need in clause.needs:
            if why := self.fact(need):
                return clause.verdict(FAILED if isinstance(why, Died) else NOT_APPLICABLE, note=str(why))
        findings = []
        for options in self.settings(clause):
            failed: dict[Any, tuple[Finding, Mapping[str, Any]]] = {}
            shown: set[Any] = set()
            for case in self.cases(clause):
                key = case.get(clause.each)
                if clause.each and key in shown:
                    continue
                finding = self.ask(clause, case, options)
                findings.append(finding)
                if finding.outcome == FAILED and not clause.each:
                    return self.failure(clause, case, options, finding)
                if finding.outcome == FAILED:
                    failed.setdefault(key, (finding, case))
                elif finding.outcome == PASSED:
                    shown.add(key)
            for key, (finding, case) in failed.items():
                if key not in shown and clause.each:
                    return self.failure(clause, case, options, finding)
        outcomes = [f.outcome for f in findings]
        if DIFFERS in outcomes:
            return clause.verdict(DIFFERS, note=findings[outcomes.index(DIFFERS)].what["note"])
        if PASSED in outcomes:
            return clause.verdict(PASSED)
        note = findings[0].what["note"] if findings else "it has no option that this is about"
        return clause.verdict(NOT_APPLICABLE, note=note)

    def settings(self, clause: Probed) -> Iterator[dict[str, Any]]:
        """Yield the settings of a clause that the optimizer can be run with."""
        if clause.over in ("rich", "flags"):
            rich = self.rich()
            yield rich
            flags = [(o, v) for o, v in alternatives(self.patient.signature) if o in FLAGS]
            yield from (
                {**rich, o: v} for o, v in flags if clause.over == "flags" and self.works({**rich, o: v})
            )
            return
        for options in settings(self.patient.signature, self.given, clause.over):
            if clause.id in ("steps", "no-warnings") or not options or self.works(options):
                yield options

    def cases(self, clause: Probed) -> Iterator[Mapping[str, Any]]:
        """Yield the cases of a clause; what the user gave is not varied."""
        cases = clause.cases(self.patient.signature) if callable(clause.cases) else clause.cases
        for case in cases:
            varied = {case.get("option"), *(o for o, v in case.get("fast", {}).items() if v)}
            if not varied & (set(self.given) - {"lr"}):
                yield case

    def ask(self, clause: Probed, case: Mapping[str, Any], options: Options) -> Finding:
        """Put one question, and judge the answer."""
        try:
            answer = self.patient.observe(clause.id, case, {**self.base, **options})
        except (Died, MemoryError) as error:
            return Finding(FAILED, {"note": str(error) or "It asked for too much memory.", "died": True})
        if "raised" not in answer:
            return Finding(*judge(answer["claims"]))
        raised = answer["raised"]
        note = f"{raised['kind']}: {_brief(raised['said'])}"
        says_so = raised["kind"] in SAYS_SO
        refused = says_so and raised["action"] == "construction" and not clause.strict
        refused |= bool(clause.refusal) and clause.refusal in note.lower()
        refused |= clause.id == "steps" and says_so and "support" in note
        refused |= bool({raised["kind"], "Exception"} & set(clause.refuses))
        if refused:
            return Finding(NOT_APPLICABLE, {"note": f"it says so: {note}"})
        if clause.each:
            return Finding(NOT_APPLICABLE, {"note": note})
        what = {
            "note": note,
            "got": note,
            "expected": "no exception",
            "where": raised["line"],
            "raised": raised,
        }
        return Finding(FAILED, what)

    def failure(self, clause: Probed, case: Mapping[str, Any], options: Options, finding: Finding) -> Verdict:
        """Write a failure up: with as few options as it needs, and the lines that reproduce it."""
        for option in list(options):
            fewer = {o: v for o, v in options.items() if o != option}
            again = self.ask(clause, case, fewer)
            if again.outcome == FAILED and again.what.get("died") == finding.what.get("died"):
                options, finding = fewer, again
        what = dict(finding.what)
        what.pop("raised", None)
        claim = what.pop("claim", None)
        used = {**self.given, **options}
        expected, got = what.pop("values", (None, None))
        what["diagnosis"] = diagnose(clause.id, what["note"], expected, got, used)
        if not what.pop("died", False):
            what["repro"] = reproduction(clause.probe, self.patient.signature, used, case, claim)
        return clause.verdict(FAILED, options={**self.base, **options}, **what)


def _brief(said: str) -> str:
    """What an exception says, on one line: torch writes pages, in colours, and the cause comes last."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", said).rpartition("WeightsUnpickler error: ")[2]
    return textwrap.shorten(text, 300, placeholder=" …")
