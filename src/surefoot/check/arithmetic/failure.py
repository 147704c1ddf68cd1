"""A failure of the arithmetic, told: the smallest script, the rule in numbers, and a reproduction."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from surefoot.check.arithmetic import wording
from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.diagnose import Diagnosis, why_it_raises
from surefoot.check.arithmetic.mends import NO_GRAD, keeps_lr, low_precision, mended
from surefoot.check.arithmetic.recording import Recorder, Recording
from surefoot.check.arithmetic.shrink import shrink
from surefoot.check.arithmetic.wrong import Fault, Wrong, fault_in
from surefoot.check.known.unset import MEND_UNSET, UNSET, read_unset
from surefoot.check.protocol import MISFIT, Died, Raised
from surefoot.check.verdict import ENDS, FAILED, MEND_END, Clause, Verdict
from surefoot.errors import InputError
from surefoot.trace import Mismatch, Script
from surefoot.trace.values import elements

__all__ = ["by_reuse", "tell_death", "tell_failure"]

# each smaller script that still ends the process costs a process: fewer tries, and less time for an answer
DEATHS, DEATHS_SECONDS, ANSWER_SECONDS = 80, 15.0, 1.0

NOT_REPEATABLE = (
    "This may pass when run again: the step depends on more than parameters, gradients and options. Look "
    "for state outside self.state that outlives the optimizer, such as a dict in the class or keyed by "
    "id(p); or for randomness."
)
READ_UNWRITTEN = (
    "The result is NaN. During the check torch.empty returns NaN, so it most likely reads memory from "
    "torch.empty or empty_like before writing to it."
)
NAN = "The result is NaN, and step() itself produces it, for example by 0/0 or the root of a negative number."
NAN_AT_FIRST = (
    "The result is NaN at a first step, as from 0/0. With t = 0 the bias correction 1 − βᵗ is 0: increment "
    "t before you use it."
)
KEEPS_LR = (
    "Schedulers write group['lr']; in this rule, each gradient in the velocity keeps the lr of its own step."
)
SHARED = (
    "Tensors of two parameters are combined: something that each should have, such as a buffer, is shared."
)
SHIFTED = (
    "Tensors of two parameters are combined when a gradient is missing: buffers are shared, or kept in a "
    "list at an index that shifts, as where `continue` skips i += 1."
)
MEND_SHARED = "Keep each parameter's state in self.state[p]."
RAISES = "An exception in the middle of step() leaves some parameters updated and others not."
EMPTY_IS_NAN = 'torch.set_deterministic_debug_mode("warn")  # torch.empty makes NaN'


def by_reuse(recorder: Recorder, claim: Claim, script: Script, dtype: str) -> bool:
    """Whether a script fails by the gradient tensors that it uses again, and would not with new ones."""
    if not script.reuse_gradients:
        return False
    anew = recorder.play(dataclasses.replace(script, reuse_gradients=False), dtype)
    return anew.trace is not None and fault_in(anew, claim) is None


def tell_failure(
    recorder: Recorder,
    clause: Clause,
    claim: Claim,
    wrong: Wrong,
    diagnosis: Diagnosis | None = None,
    said: str = "",
) -> Verdict:
    """Say what failed, by the smallest script that still does.

    A diagnosis is told if it is true of that script too; else `said` is.
    """
    first, found = wrong.told[0]
    script = first.script
    if found.step:  # what comes after it does not matter
        script = dataclasses.replace(script, steps=script.steps[: found.step])
    reuse = by_reuse(recorder, claim, script, first.dtype)
    smallest = shrink(script, _still_fails(recorder, claim, first.dtype, found, reuse), off=recorder.off)
    shown = recorder.play(smallest, first.dtype)
    again = fault_in(shown, claim)
    if again is None:  # neither this nor what the first script shows can be relied upon
        smallest, said, diagnosis = script, NOT_REPEATABLE, None
    fault = again or found
    # of zeros, which the smallest script may have put in, NaN is soon made: it must have been there before
    unwritten = _is_nan(found) and _is_nan(fault)
    if unwritten and again is not None and isinstance(fault, Mismatch) and _makes_nan(recorder, shown):
        unwritten, said = False, said or _of_nan(claim, fault)
    matter = wording.options_that_matter(smallest, recorder.off)
    if diagnosis is not None and shown.trace is not None:
        said = diagnosis.told(shown.trace, matter) or said
    if unwritten and not said:
        said = READ_UNWRITTEN
    if isinstance(fault, Mismatch):
        mismatch, how = fault, "deviate from the rule"
        told = _parted(clause, claim, smallest, fault, first.dtype)
        mend = mended(clause, claim.rule, said, smallest, recorder.patient.signature.leaves)
        if not said and shown.trace is not None:
            kind = shown.trace.dtypes.get(fault.name, "")

            def follows(wide: Script) -> bool:
                played = recorder.play(wide, "float64")
                return played.trace is not None and fault_in(played, claim) is None

            said, other = low_precision(smallest, kind, follows)
            mend = other or mend
        told |= {"diagnosis": said, "mend": mend}
    else:
        mismatch, how = None, "raise an exception"
        told = _raised(fault, smallest)
    note = f"{wrong.runs} {how}"
    spare = sorted(set(recorder.off) - set(matter))
    if spare and matter and again is not None:  # else nothing was left out to see
        note += f"; the smallest needs {wording.listed(matter)}, but not {wording.listed(spare, 'or')}"
    return clause.verdict(
        FAILED,
        note=note,
        options=matter,
        script=str(smallest),
        repro=_reproduction(recorder, smallest, first.dtype, mismatch, [EMPTY_IS_NAN] * unwritten)
        if again is not None
        else "",
        **told,
    )


def _parted(clause: Clause, claim: Claim, script: Script, fault: Mismatch, dtype: str) -> dict[str, Any]:
    """What a Verdict says of a number that is not the rule's."""
    _, came = wording.apart(fault.expected, fault.got)
    # of a tensor that is called b, "b" would be the rule's buffer
    place = fault.place if fault.slot != "w" or fault.name == "w" else f"w of {fault.place}"
    return {
        "expected": wording.in_numbers(claim, script, fault),
        "got": f"{place} = {came}",
        "where": wording.where(fault, dtype),
        "why": KEEPS_LR if keeps_lr(clause, claim.rule) else "",
    }


def _raised(fault: Raised, script: Script) -> dict[str, Any]:
    """What a Verdict says of an exception."""
    words, cause, advice = NO_GRAD
    known = words in fault.said
    if slot := read_unset(str(fault), fault.line):
        known, cause, advice = True, UNSET.format(slot), MEND_UNSET.format(slot)
    if MISFIT.search(fault.said) and len(script.names) > 1:
        pauses = any({*step.given} < {*script.names} for step in script.steps)
        known, cause, advice = True, SHIFTED if pauses else SHARED, MEND_SHARED
    return {
        "expected": "a step without an exception",
        "got": f"{fault}\n{fault.line}".strip(),
        "where": f"{fault.action} {fault.step or ''}".strip(),
        "diagnosis": cause if known else why_it_raises(script),
        "why": RAISES,
        "mend": advice if known else "Run the lines below: the traceback ends at the line that raises.",
    }


def tell_death(recorder: Recorder, clause: Clause, recording: Recording) -> Verdict:
    """Say how the process ended, by the smallest script found in a bounded time that still ends it."""

    def dies(script: Script) -> bool:
        return isinstance(recorder.play(script, recording.dtype).outcome, Died)

    with recorder.patient.hurried(ANSWER_SECONDS):
        smallest = shrink(recording.script, dies, off=recorder.off, tries=DEATHS, seconds=DEATHS_SECONDS)
    outcome = recorder.play(smallest, recording.dtype).outcome
    if not isinstance(outcome, Died):  # with more time, it ends after all
        smallest, outcome = recording.script, recording.outcome
    return clause.verdict(
        FAILED,
        note=str(recording.outcome),
        expected="a step that returns normally",
        got=str(outcome),
        options=wording.options_that_matter(smallest, recorder.off),
        diagnosis=why_it_raises(smallest).replace("It raises", "The process ends"),
        script=str(smallest),
        repro=_reproduction(recorder, smallest, recording.dtype, None),
        why=ENDS,
        mend=MEND_END,
    )


def _is_nan(fault: Fault) -> bool:
    return isinstance(fault, Mismatch) and math.isnan(fault.got) and not math.isnan(fault.expected)


def _makes_nan(recorder: Recorder, shown: Recording) -> bool:
    """Whether what is NaN is so, too, where torch.empty makes ones."""
    trace = recorder.play(shown.script, shown.dtype, ones=True).trace
    return trace is not None and any(x != x for m in trace.steps for v in m.w.values() for x in elements(v))


def _of_nan(claim: Claim, fault: Mismatch) -> str:
    """What may have made NaN."""
    counts = any(slot.name == "step" for slot in claim.rule.slots)
    return NAN_AT_FIRST if counts and fault.step == 1 else NAN


def _reproduction(
    recorder: Recorder, script: Script, dtype: str, found: Mismatch | None, before: Sequence[str] = ()
) -> str:
    patient = recorder.patient
    given = {**patient.given, **recorder.beside}
    return wording.reproduction(script, patient.signature, given, dtype, found, before)


def _still_fails(
    recorder: Recorder, claim: Claim, dtype: str, found: Fault, reuse: bool
) -> Callable[[Script], bool]:
    """Whether a smaller script fails too: in the same way, if it raised; `reuse`: by gradients used again."""

    def fails(script: Script) -> bool:
        recording = recorder.play(script, dtype)
        if recording.refused or claim.learns_nothing(script):
            return False
        try:
            fault = fault_in(recording, claim)
        except InputError:
            return False
        if isinstance(found, Raised):
            return isinstance(fault, Raised) and (fault.kind, fault.action) == (found.kind, found.action)
        return isinstance(fault, Mismatch) and (not reuse or by_reuse(recorder, claim, script, dtype))

    return fails
