"""What was recorded of an optimizer, held against a rule: a verdict for each situation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from surefoot.check.arithmetic.alone import BESIDE_OTHERS, beside_others
from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.diagnose import Diagnosis, diagnose, hint
from surefoot.check.arithmetic.failure import by_reuse, tell_death, tell_failure
from surefoot.check.arithmetic.followed import precision
from surefoot.check.arithmetic.guess import Guess
from surefoot.check.arithmetic.mends import NARROW
from surefoot.check.arithmetic.recording import Recorder, Recording
from surefoot.check.arithmetic.situations import PLAIN, SITUATIONS, Situation
from surefoot.check.arithmetic.wording import listed
from surefoot.check.arithmetic.wrong import Fault, Wrong, fault_in, runs_away
from surefoot.check.known.bookkeeping import GOES_ON, STILL
from surefoot.check.known.rounding import ROUGHLY, convention, follows_roughly
from surefoot.check.protocol import Died, Plan
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, SHARED_COUNT, Clause, Verdict
from surefoot.rules import Rule
from surefoot.trace import Script, Set

__all__ = ["Judgement"]

PARTS = "The plain steps already deviate from the rule."
# clause → in what another algorithm may part from the one that it is in plain steps
BUT_FOR = {
    "changed-options": "while its options are constant; it differs when they change",
    "dimensions": "for vectors; tensors of other shapes or sizes are stepped differently",
}

WAITS = (
    "In these runs nothing moves; with its options at their defaults w first moves at step {}. Look for a "
    "condition that leaves steps out, on purpose or not."
)


class Judgement:
    """One examination under way: what was recorded, and the fault that has been explained already."""

    def __init__(self, recorder: Recorder, plan: Plan, explains: bool, left: Sequence[str]) -> None:
        self.recorder, self.plan, self.explains = recorder, plan, explains
        self.left = left  # options that the rule has no place for
        self.fault: Diagnosis | None = None
        self.named_by = ""  # the clause that has told of the fault
        self.raised: dict[str, str] = {}  # exception → the clause that has told of it
        self.partings: set[str] | None = None  # see `own`
        self.parts = False  # whether the plain steps were judged, and part from the rule
        self.deaths = 0
        self.failed: set[str] = set()  # ids of clauses
        self.shared = False  # whether steps are counted per group, as `late` has shown

    def verdicts(self, guessed: Guess, claimed: bool) -> Iterator[Verdict]:
        situations = [s for s in SITUATIONS if self.plan.wants(s.clause)]
        plain = self.recorder.plain
        if guessed.rule is None and isinstance(plain[-1].outcome, Died):
            yield tell_death(self.recorder, PLAIN.clause, plain[-1])
            return
        if guessed.rule is None:
            yield PLAIN.clause.verdict(NOT_APPLICABLE, note=guessed.why)
            return
        if (said := self.recorder.refusal) is not None:
            yield PLAIN.clause.verdict(NOT_APPLICABLE, note=said)
            return
        claim, notes = self.settled(guessed, guessed.rule, claimed)
        for s in situations:
            if self.deaths > 1 or (self.deaths and isinstance(plain[-1].outcome, Died)):
                yield s.clause.verdict(NOT_APPLICABLE, note="its process ends, as reported")
                continue
            if s.clause.id == "later" and "long" in self.failed:
                yield s.clause.verdict(NOT_APPLICABLE, note="it deviates from the rule earlier, as reported")
                continue
            verdict = self.judge(s, claim)
            named = self.fault is not None and verdict.diagnosis == self.fault.says
            another = not (guessed.sure or claimed or named or "rule" in self.failed)
            if verdict.outcome == FAILED and s.clause.id in BUT_FOR and another:
                note = f"{claim.rule.title} {BUT_FOR[s.clause.id]}"
                verdict = s.clause.verdict(DIFFERS, note=note)
            if s is PLAIN and verdict.outcome == PASSED and notes:
                verdict = s.clause.verdict(DIFFERS, note="; ".join(notes))
            if verdict.outcome == FAILED:
                self.failed.add(s.clause.id)
            yield verdict

    def settled(self, guessed: Guess, rule: Rule, claimed: bool) -> tuple[Claim, list[str]]:
        """The claim that recordings are held against, by the plain steps; and what of it is a convention."""
        claim = Claim(rule, self.recorder.heard, rough=guessed.rough)
        notes = []
        if guessed.behaves and guessed.behaves.name != rule.name and not claimed:
            notes.append(self.another(rule, guessed.behaves, guessed.by))
            claim = dataclasses.replace(claim, rule=guessed.behaves)
        traces = [r.trace for r in self.recorder.plain if r.trace]
        wanted = precision(self.recorder.patient.given)
        if not all(map(claim.holds, traces)):
            if wanted and all(map(claim.roughly(wanted).holds, traces)):
                claim = claim.roughly(wanted)
            elif claimed and follows_roughly(claim, traces, self.recorder):
                claim = claim.roughly()
        if self.recorder.matrices:
            notes.append(self.recorder.matrices)
        if claim.rough:
            notes.append(ROUGHLY.replace("float32", claim.rough))
        return claim.with_slots([t for t in traces if claim.holds(t)][:8]), notes

    def another(self, named: Rule, other: Rule, by: str) -> str:
        """Say that it follows another known convention than its name has it."""
        if other.formula is named.formula:  # its title says in what it is another
            return other.title
        base = Claim(named, self.recorder.heard)
        # what tells conventions apart was recorded in plain steps, and under a changed lr
        alike = all(base.holds(r.trace) for r in self.recorder.plain if r.trace)
        same = ": the same while lr is constant" if alike else ", which takes other steps"
        return f"{other.title}. By {by} it would be {named.title}{same}"

    def judge(self, situation: Situation, claim: Claim) -> Verdict:
        """Pass judgement on one situation."""
        clause = situation.clause
        taken = [r for r in self.recordings(situation) if not r.refused and self.settles(r.script, claim)]
        if not taken:
            return clause.verdict(NOT_APPLICABLE, note="It has none of the options that this tests.")
        recordings = [r for r in taken if not runs_away(r, claim)]
        if not recordings:
            return clause.verdict(NOT_APPLICABLE, note="with these options w grows without bound")
        if isinstance(recordings[-1].outcome, Died):
            self.deaths += 1
            return tell_death(self.recorder, clause, recordings[-1])
        wrong = Wrong(
            [(r, fault) for r in recordings if (fault := fault_in(r, claim)) is not None], recordings
        )
        if not wrong.faults:
            combined = len(set(map(_options, recordings)))
            note = f"runs: {len(recordings)}; combinations of options: {combined}"
            return clause.verdict(PASSED, note=note)
        if situation is PLAIN:
            self.parts = True
        other = convention(claim, wrong.traces) if wrong.traces else ""
        shared = other.startswith(SHARED_COUNT)
        if other and wrong.raises:  # what does not raise is no fault, and the exceptions are told alone
            self.shared |= shared
            wrong = wrong.raising
        elif other and not (shared and "late" in self.failed and not self.shared):
            return clause.verdict(DIFFERS, note=other)
        told = "late" in self.failed and not self.parts and not wrong.raises
        if clause.id == "reused" and told and not self.by_reuse(claim, wrong):
            note = "it deviates from the rule where first gradients come late, as reported"
            return clause.verdict(NOT_APPLICABLE, note=note)
        if not self.explains:
            return clause.verdict(FAILED, note=wrong.runs)
        return self.told_already(situation, claim, wrong) or self.tell(situation, claim, wrong)

    def recordings(self, situation: Situation) -> list[Recording]:
        if situation is PLAIN:
            return self.recorder.plain
        near = 0 if self.plan.quick else situation.near
        return list(self.recorder.record(situation, self.recorder.accepted(near)))

    def settles(self, script: Script, claim: Claim) -> bool:
        """Whether the rule is to be had at its word: what a step without momentum does to a buffer differs.

        Of SGD as in torch both forms are known, the buffer that rests and the one that goes on.
        """
        option = self.recorder.words.option("momentum")
        rests = any(
            e.option == option and not e.value for s in script.steps for e in s.events if isinstance(e, Set)
        )
        return claim.rule.family == "torch" or option is None or not rests

    def told_already(self, situation: Situation, claim: Claim, wrong: Wrong) -> Verdict | None:
        """A short verdict where another clause has told of all that is wrong here; else None."""
        clause = situation.clause
        if wrong.raises:
            if wrong.traces or not {*wrong.exceptions} <= self.raised.keys():
                return None
            by, said = self.raised[wrong.exceptions[0]], "The exception was already reported."
            return _again(clause, f"{wrong.runs} raise an exception", said, by)
        if self.fault is not None and all(map(self.fault.claim.holds, wrong.traces)):
            note = f"{wrong.runs}; same fault as already reported"
            return _again(clause, note, self.fault.says, self.named_by)
        explained = self.fault is not None and self.fault.complete
        if situation is PLAIN or not self.parts or explained or self.own(claim, wrong):
            return None
        return _again(clause, f"{wrong.runs} deviate from the rule", PARTS, PLAIN.clause.id)

    def by_reuse(self, claim: Claim, wrong: Wrong) -> list[tuple[Recording, Fault]]:
        return [f for f in wrong.faults if by_reuse(self.recorder, claim, f[0].script, f[0].dtype)]

    def own(self, claim: Claim, wrong: Wrong) -> list[tuple[Recording, Fault]]:
        """The faults of runs with options with which the plain steps do not part from the rule already."""
        if self.partings is None:
            failing = (r for r in self.recorder.plain if not r.refused and fault_in(r, claim) is not None)
            self.partings = set(map(_options, failing))
        return [(r, fault) for r, fault in wrong.faults if _options(r) not in self.partings]

    def tell(self, situation: Situation, claim: Claim, wrong: Wrong) -> Verdict:
        """Tell of what is wrong in full."""
        clause = situation.clause
        if wrong.raises:  # there is nothing to hold a diagnosis against
            self.raised = dict.fromkeys(wrong.exceptions, clause.id) | self.raised
            return tell_failure(self.recorder, clause, claim, wrong)
        if situation is not PLAIN:
            wrong = wrong.by(self.own(claim, wrong))
        if clause.id == "reused":
            of_reuse = self.by_reuse(claim, wrong)
            if not of_reuse and self.parts:
                return _again(clause, f"{wrong.runs} deviate from the rule", PARTS, PLAIN.clause.id)
            wrong = wrong.by(of_reuse or wrong.told)
        if clause.id == "later":  # no known mistake, or it would have shown in the first steps
            said = hint(clause.id, claim, [t for r, _ in wrong.told if (t := r.trace)], [])
            return tell_failure(self.recorder, clause, claim, wrong, None, said)
        return self.explain(clause, claim, wrong)

    def explain(self, clause: Clause, claim: Claim, wrong: Wrong) -> Verdict:
        """Tell a failure, with what reproduces it, if something known does."""
        traces = [t for r, _ in wrong.told if (t := r.trace)]
        failed = {id(r) for r, _ in wrong.told}
        runs = (*wrong.recordings, *self.recorder.plain)
        others = [t for r in runs if id(r) not in failed and (t := r.trace)]
        known = {id(t) for t in (*traces, *others)}
        others += [t for t in self.recorder.telling if id(t) not in known]
        diagnosis = diagnose(claim, traces, others)
        if diagnosis is not None and diagnosis.says.startswith(
            GOES_ON
        ):  # or is the first all that is stepped?
            groups = next(s for s in SITUATIONS if s.clause.id == "groups-arithmetic")
            others += [t for r in self.recordings(groups) if (t := r.trace)]
            diagnosis = diagnose(claim, traces, others)
        if diagnosis is None and (found := diagnose(claim, traces[:1], traces[1:] + others)):
            # where it moves in other runs, it is not true that it never does
            diagnosis = dataclasses.replace(found, first=True) if found.says != STILL else None
        waits = 0
        if diagnosis is not None and diagnosis.says == STILL and (waits := self.recorder.waits):
            diagnosis = None  # as RAdam without the steps before its average is rectified
        narrow = all({*t.dtypes.values()} <= {*NARROW} for t in traces)
        if diagnosis is not None and narrow and not diagnosis.complete:  # in so few bits much fits by chance
            diagnosis = None
        said = ""
        if diagnosis is None or diagnosis.first:
            said = hint(clause.id, claim, traces, others)
        if waits:
            said = WAITS.format(waits)
        if clause is PLAIN.clause and diagnosis is None and not said:
            if self.left:
                said = (
                    f"No known mistake explains this. The cause may be {listed(self.left)}, which the rule "
                    "does not have: use --option to set values that have no effect, and the rest is judged."
                )
            elif beside_others(self.recorder, traces):
                said = BESIDE_OTHERS
        verdict = tell_failure(self.recorder, clause, claim, wrong, diagnosis, said)
        if diagnosis is not None and diagnosis.says.casefold() in verdict.diagnosis.casefold():
            if self.fault is None:
                self.fault, self.named_by = diagnosis, clause.id
            left = sum(not diagnosis.claim.holds(t) for t in traces) if diagnosis.first else 0
            if left:
                note = f"{verdict.note}; the diagnosis does not explain {left} of them"
                verdict = dataclasses.replace(verdict, note=note)
        return verdict


def _again(clause: Clause, note: str, said: str, by: str) -> Verdict:
    """A short verdict on what the clause `by` has told in full."""
    return clause.verdict(FAILED, note=note, diagnosis=said, same_as=by)


def _options(recording: Recording) -> str:
    return str(sorted(recording.options.items()))
