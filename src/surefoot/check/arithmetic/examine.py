"""Arithmetic: an optimizer is recorded on scripts, and each step is compared with a rule.

The optimizer itself is never touched here: `patient.record` plays a script, in a process of its own or
in this one, and gives back plain data. That is held against the rule twice: the run as a whole, and each step
from the optimizer's own values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.guess import Guess, guess
from surefoot.check.arithmetic.judging import Judgement
from surefoot.check.arithmetic.mends import NO_GRAD
from surefoot.check.arithmetic.recording import Recorder
from surefoot.check.arithmetic.situations import CLAUSES
from surefoot.check.arithmetic.wording import listed, number
from surefoot.check.contract.settings import alternatives
from surefoot.check.options.neutral import neutral
from surefoot.check.options.renamed import as_usual, by_trial, doubtful, told, understood
from surefoot.check.options.unexamined import unexamined
from surefoot.check.options.words import Words
from surefoot.check.protocol import Died, Examination, Options, Patient, Plan, Signature
from surefoot.check.report.words import settings
from surefoot.rules import RULES, Rule, get

__all__ = ["CLAUSES", "examine"]


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
        decay: where weight decay enters, if not where the rule, named or guessed, has it: one of
            `surefoot.rules.DECAYS`.
        explain: shrink, diagnose and reproduce what fails; without, a failure only says in how many runs.

    Returns:
        The Examination; its verdicts are made while they are read.

    Raises:
        InputError: there is no such rule, or no such place for the decay.
    """
    named = None if rule is None else get(rule)
    if decay is not None:
        with_decay = (named or get("torch")).variant(decay=decay)  # raises where there is no such place
        named = with_decay if named else None
    recorder = Recorder(patient, plan.seed)
    before = recorder.words
    if named is not None:
        before = before.of_rule(named, patient.signature, patient.given)
        recorder = Recorder(patient, plan.seed, before)
        if doubtful(before, named):
            recorder = Recorder(
                patient, plan.seed, by_trial(patient, before, named) or as_usual(before, named)
            )
        guessed = Guess(named, f"{named.title}, as requested{told(recorder.words, before)}.")
    else:
        recorder, guessed = _guessed(recorder)
        if decay is not None and guessed.rule is not None:
            held = _with_decay(guessed.rule, decay)
            as_asked = f"with decay={decay}, as requested{told(recorder.words, before)}"
            guessed = Guess(held, f"{held.title}, as guessed, {as_asked}.")
    claimed = named is not None or decay is not None
    left = _left(recorder.words, before, patient.signature)
    recorder, guessed = _undisturbed(recorder, guessed, left, claimed)
    verdicts = Judgement(recorder, plan, explain, tuple(left)).verdicts(guessed, claimed)
    aside = ""
    if guessed.rule:
        said = [_shown_rate(guessed, recorder.heard), _unjudged(guessed.rule, recorder, left)]
        said.append(_stayed(recorder.words, patient.given))
        aside = " ".join(filter(None, [*said, unexamined(before, patient.signature, patient.given)]))
    return Examination(verdicts, aside, guessed.rule, guessed.why)


def _left(words: Words, before: Words, signature: Signature) -> dict[str, Any]:
    """The numbers that the rule has no place for, and that nobody has told of, or tried, otherwise."""
    tried = {option for option, _ in alternatives(signature)}
    known = {*tried, *before.hyper}
    return {o: words.values[o] for o in words.others if o in words.values and o not in known}


def _undisturbed(
    recorder: Recorder, guessed: Guess, left: dict[str, Any], claimed: bool
) -> tuple[Recorder, Guess]:
    """Where options of its own part it from the rule, the recorder that has them out of the way."""
    patient = recorder.patient
    if guessed.rule is None or (guessed.behaves is not None and not claimed):
        return recorder, guessed
    values = neutral(recorder, guessed.rule, left)
    if not values:
        return recorder, guessed
    title = guessed.rule.title.partition(":")[0]
    asked = {o: patient.given[o] for o in values if o in patient.given}
    if not asked:
        again = Recorder(patient, recorder.seed, recorder.words, values)
        better = guessed if claimed else _guess(again)
        return again, guessed if better.rule is None else better
    if claimed:
        return recorder, guessed
    why = (
        f"With {settings(values)} it follows {title}; with {settings(asked)}, as given, it does not, so "
        "the arithmetic is not judged."
    )
    return recorder, Guess(None, why)


def _shown_rate(guessed: Guess, words: Words) -> str:
    """Say what stands for the learning rate where there is no option for it."""
    rule = guessed.behaves or guessed.rule
    rate = Claim(rule, words).rate if rule is not None else None
    if rate is None:
        return ""
    shown = f"{number(rate)}, inferred from its first step"
    return f"It has no option for the learning rate; the value used is {shown}."


def _unjudged(rule: Rule, recorder: Recorder, left: dict[str, Any]) -> str:
    """Say which numbers the rule has no place for, and with which values of theirs it was judged."""
    if not left:
        return ""
    title = rule.title.partition(":")[0]
    one = len(left) == 1
    is_none = "is not a hyperparameter" if one else "are not hyperparameters"
    said = f"{listed(left)} {is_none} of {title};"
    if recorder.beside:
        return (
            f"{said} it was judged with {settings(recorder.beside)}, where the plain steps follow the rule; "
            "other values were not judged."
        )
    stayed = f"{'it was' if one else 'they were'} kept at {listed(map(repr, left.values()))}"
    return f"{said} {stayed}, and {'its' if one else 'their'} effect was not judged."


def _stayed(words: Words, given: Options) -> str:
    """Say which hyperparameters of the rule were judged at one value alone, as it takes no other floats."""
    stayed = [o for o in words.own if o in words.fixed - words.held and o not in given]
    if not stayed:
        return ""
    values = listed([repr(words.values[o]) for o in stayed])
    return (
        f"{listed(stayed)} {'was' if len(stayed) == 1 else 'were'} kept at {values}: with other values a "
        "step cannot be computed in floats."
    )


def _with_decay(guessed: Rule, decay: str) -> Rule:
    """The rule of a guessed one's family with decay in this place, and what the guessed one has fixed."""
    rule = RULES.get(guessed.family, guessed)
    return rule.with_defaults_of(guessed, decay=decay)


def _guessed(recorder: Recorder) -> tuple[Recorder, Guess]:
    """The rule guessed; and the recorder, which may have learned what the options mean on the way."""
    patient = recorder.patient
    if patient.signature.needs_closure:
        return recorder, Guess(None, "step() needs a closure, so it cannot be run on chosen gradients.")
    if (said := recorder.refusal) is not None:
        return recorder, Guess(None, said)
    guessed = _guess(recorder)
    words = recorder.words
    dead = isinstance(recorder.plain[-1].outcome, Died)
    found = None if dead else understood(patient, words, guessed.rule)
    if found is None:
        return recorder, guessed
    again = Recorder(patient, recorder.seed, found)
    better = _guess(again)
    if better.rule is None:
        return recorder, guessed
    return again, replace(better, why=f"{better.why.removesuffix('.')}{told(found, words)}.")


def _guess(recorder: Recorder) -> Guess:
    guessed = guess(recorder)
    if guessed.rule is None and not recorder.telling:
        raised = str(recorder.plain[0].outcome)
        words, _, advice = NO_GRAD
        hint = f" {advice}" if words in raised else ""
        return Guess(None, f"Its step() cannot be run on chosen gradients: {raised}{hint}")
    return guessed
