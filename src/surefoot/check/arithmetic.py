"""Arithmetic: an optimizer is recorded on scripts, and each step is compared with a rule.

The optimizer itself is never touched here: `patient.record` plays a script, in a process of its own or
in this one, and gives back plain data. That is held against the rule twice: the run as a whole, and each step
from the optimizer's own values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from surefoot.check import wording
from surefoot.check.claim import Claim
from surefoot.check.diagnose import Diagnosis, diagnose, left_out, why_it_raises
from surefoot.check.guess import Guess, guess
from surefoot.check.recording import Recorder, Recording
from surefoot.check.shrink import shrink
from surefoot.check.situations import CLAUSES, SITUATIONS, Situation
from surefoot.check.verdict import (
    DIFFERS,
    FAILED,
    NOT_APPLICABLE,
    PASSED,
    Clause,
    Died,
    Patient,
    Plan,
    Raised,
    Verdict,
)
from surefoot.errors import InputError
from surefoot.rules import Rule, get
from surefoot.trace import Mismatch, Script, Trace

__all__ = ["CLAUSES", "Examination", "examine"]

Fault: TypeAlias = Mismatch | Raised


@dataclass(frozen=True)
class Examination:
    """An examination about to be made: against which rule, why that one, and its verdicts as they come."""

    rule: Rule | None
    why: str
    verdicts: Iterator[Verdict] = field(repr=False)


def examine(
    patient: Patient,
    plan: Plan,
    rule: str | Rule | None = None,
    decay: str | None = None,
    *,
    explain: bool = True,
) -> Examination:
    """Hold an optimizer's arithmetic against a rule.

    Args:
        patient: the optimizer.
        plan: how much to examine.
        rule: the rule it claims to follow; by default it is guessed from its name, options and plain steps.
        decay: where weight decay enters, if not where the rule has it: one of `surefoot.rules.DECAYS`.
        explain: shrink, diagnose and reproduce what fails; without, a failure only says in how many runs.

    Returns:
        The Examination; its verdicts are made while they are read.

    Raises:
        InputError: there is no such rule, or no such place for the decay.
    """
    named = None if rule is None else get(rule)
    if decay is not None:
        named = (named or get("torch")).variant(decay=decay)
    recorder = Recorder(patient, plan.seed)
    work = _Work(recorder, plan, explain)
    if named is not None:
        return Examination(
            named, f"{named.title}, as asked for.", work.verdicts(Guess(named, ""), claimed=True)
        )
    if patient.signature.needs_closure:
        guessed = Guess(None, "step() needs a closure, so it cannot be driven with chosen gradients.")
    elif (said := recorder.refusal) is not None:
        guessed = Guess(None, said)
    else:
        traces = recorder.telling
        guessed = guess(patient.signature, recorder.words, traces)
        if guessed.rule is None and not traces:
            guessed = Guess(
                None, f"Its step() cannot be driven with chosen gradients: {recorder.plain[0].outcome}"
            )
    return Examination(guessed.rule, guessed.why, work.verdicts(guessed, claimed=False))


class _Work:
    """One examination under way: what was recorded, and the fault that has been explained already."""

    def __init__(self, recorder: Recorder, plan: Plan, explained: bool) -> None:
        self.recorder, self.plan, self.explained = recorder, plan, explained
        self.fault: Diagnosis | None = None
        self.died = False

    def verdicts(self, guessed: Guess, claimed: bool) -> Iterator[Verdict]:
        situations = [s for s in SITUATIONS if self.plan.wants(s.clause) and (s.quick or not self.plan.quick)]
        if guessed.rule is None and isinstance(self.recorder.plain[-1].outcome, Died):
            yield self.death(SITUATIONS[0].clause, self.recorder.plain[-1])
            return
        if guessed.rule is None:
            yield SITUATIONS[0].clause.verdict(NOT_APPLICABLE, note=guessed.why)
            return
        if (said := self.recorder.refusal) is not None:
            yield SITUATIONS[0].clause.verdict(NOT_APPLICABLE, note=said)
            return
        claim = Claim(guessed.rule, self.recorder.words)
        other = guessed.behaves if guessed.behaves and guessed.behaves.name != guessed.rule.name else None
        if other is not None and not claimed:
            yield self.differs(guessed.rule, other)
            situations = [s for s in situations if s is not SITUATIONS[0]]
            claim = Claim(other, self.recorder.words)
        claim = claim.with_slots(
            [r.trace for r in self.recorder.plain if r.trace and claim.holds(r.trace)][:8]
        )
        for s in situations:
            yield self.judge(s, claim)
            if self.died:
                return

    def differs(self, rule: Rule, other: Rule) -> Verdict:
        """The verdict on an optimizer that follows another known convention."""
        base = Claim(rule, self.recorder.words)
        # what tells conventions apart was recorded in plain steps, and under a changed lr
        alike = all(base.holds(r.trace) for r in self.recorder.plain if r.trace)
        same = "the same while lr is constant" if alike else "not the same"
        return CLAUSES["rule"].verdict(
            DIFFERS, note=f"Another convention: {other.title}. By its name it would be {rule.title}: {same}."
        )

    def judge(self, situation: Situation, claim: Claim) -> Verdict:
        """Pass judgement on one situation."""
        clause = situation.clause
        if situation is SITUATIONS[0]:
            recordings = self.recorder.plain
        else:
            near = 0 if self.plan.quick else situation.near
            recordings = list(self.recorder.record(situation, self.recorder.accepted(near)))
        recordings = [r for r in recordings if not r.refused]
        if not recordings:
            return clause.verdict(NOT_APPLICABLE, note="It has no option that this is about.")
        if isinstance(recordings[-1].outcome, Died):
            return self.death(clause, recordings[-1])
        wrong = [(r, fault) for r in recordings if (fault := _fault(r, claim)) is not None]
        if not wrong:
            many = len({str(sorted(r.options.items())) for r in recordings})
            return clause.verdict(PASSED, note=f"runs: {len(recordings)}; combinations of options: {many}")
        if not self.explained:
            return clause.verdict(FAILED, note=f"{len(wrong)} of {len(recordings)} runs")
        traces = [t for r, _ in wrong if (t := r.trace)]
        if len(traces) < len(wrong):  # it raised: there is nothing to hold a diagnosis against
            return self.explain(clause, claim, wrong, len(recordings), "")
        if not claim.rule.exact and all(map(claim.holds_roughly, traces)):
            return clause.verdict(DIFFERS, note=_ROUGH)
        if self.fault is not None and all(map(self.fault.claim.holds, traces)):
            note = f"{len(wrong)} of {len(recordings)} runs; the fault is the one already named"
            return clause.verdict(FAILED, note=note, diagnosis=self.fault.says)
        failed = {id(r) for r, _ in wrong}
        others = [t for r in (*recordings, *self.recorder.plain) if id(r) not in failed and (t := r.trace)]
        diagnosis = diagnose(claim, traces, others) or diagnose(claim, traces[:1], traces[1:] + others)
        self.fault = self.fault or diagnosis
        said = str(diagnosis or "")
        if diagnosis is None:
            said = _ROUGH if all(map(claim.holds_roughly, traces)) else ""
            if not said and situation.clause.id == "sizes":
                said = left_out(claim, traces)
        return self.explain(clause, claim, wrong, len(recordings), said)

    def death(self, clause: Clause, recording: Recording) -> Verdict:
        """The verdict on an optimizer whose process ended, or had to be ended; no more is asked of it."""
        self.died = True
        said = str(recording.outcome)
        script = str(recording.script)
        return clause.verdict(FAILED, note=said, expected="a step that ends", got=said, script=script)

    def explain(
        self, clause: Clause, claim: Claim, wrong: list[tuple[Recording, Fault]], runs: int, diagnosis: str
    ) -> Verdict:
        """Say what failed: the smallest script, the rule in numbers, and a reproduction."""
        first, fault = wrong[0]
        smallest = shrink(first.script, self.still_fails(claim, first.dtype, fault), off=self.recorder.off)
        fault = _fault(self.recorder.play(smallest, first.dtype), claim) or fault
        mismatch = fault if isinstance(fault, Mismatch) else None
        matter = wording.options_that_matter(smallest, self.recorder.off)
        spare = sorted(set(self.recorder.off) - set(matter))
        note = f"{len(wrong)} of {runs} runs {'part from the rule' if mismatch else 'end in an exception'}"
        if spare and matter:
            note += f"; it takes {', '.join(matter)}, whatever {', '.join(spare)}"
        if isinstance(fault, Mismatch):
            expected = wording.in_numbers(claim, smallest, fault)
            got, where = f"{fault.place} = {wording.number(fault.got)}", wording.where(fault, first.dtype)
        else:
            expected, diagnosis = "a step, without an exception", why_it_raises(smallest)
            got, where = f"{fault}\n{fault.line}".strip(), f"{fault.action} {fault.step or ''}".strip()
        signature, given = self.recorder.patient.signature, self.recorder.patient.given
        return clause.verdict(
            FAILED,
            note=note,
            expected=expected,
            got=got,
            where=where,
            options=matter,
            diagnosis=diagnosis,
            script=str(smallest),
            repro=wording.reproduction(smallest, signature, given, first.dtype, mismatch),
        )

    def still_fails(self, claim: Claim, dtype: str, found: Fault) -> Callable[[Script], bool]:
        """Whether a smaller script fails too: in the same way, if it raised."""

        def fails(script: Script) -> bool:
            recording = self.recorder.play(script, dtype)
            if recording.refused:
                return False
            try:
                fault = _fault(recording, claim)
            except InputError:
                return False
            if isinstance(found, Raised):
                return isinstance(fault, Raised) and (fault.kind, fault.action) == (found.kind, found.action)
            return isinstance(fault, Mismatch)

        return fails


_ROUGH = "In float64 it is right only as far as float32 goes: something is kept, or computed, in float32."


def _fault(recording: Recording, claim: Claim) -> Fault | None:
    if isinstance(recording.outcome, Trace):
        return claim.mismatch(recording.outcome)
    return recording.outcome if isinstance(recording.outcome, Raised) else None
