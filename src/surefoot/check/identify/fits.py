"""Which rules reproduce what was recorded, and the first number that rules out each of the others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.wording import apart
from surefoot.check.identify.probes import PROBES, Answers, moves
from surefoot.check.identify.readings import is_linear
from surefoot.check.known.libraries import elsewhere
from surefoot.check.known.mistakes import MISTAKES
from surefoot.check.known.rounding import in_float32
from surefoot.check.known.variants import variants
from surefoot.check.options.words import Words
from surefoot.errors import InputError
from surefoot.rules import RULES, Rule

__all__ = ["Fit", "fit"]

SPARE = ("weight_decay", "momentum", "nesterov", "dampening", "maximize")  # what may be accepted and unused
DECAYING = ("lr", "lr_max", "weight_decay", "decay")


@dataclass(frozen=True)
class Fit:
    """The rules that fit, what rules out the others, options that must be unused for it; or a mistake.

    `rough`: they fit only as closely as float32 would.
    """

    rules: tuple[Rule, ...]
    ruled_out: Mapping[str, str]
    unused: tuple[str, ...] = ()
    mistake: str | None = None
    rough: bool = False


def fit(answers: Answers, words: Words) -> Fit:
    """Hold every known rule against the recordings, then the same without options, then known mistakes."""
    fits, out = _fitting(answers, words)
    if fits:
        return Fit(fits, out)
    if form := _form(answers, words):
        return Fit((form,), out)
    fits, ruled_out = _fitting(answers, words, rough="float32")
    if fits and in_float32(Claim(fits[0], words), list(answers.traces.values())):
        return Fit(fits, ruled_out, rough=True)
    for unused in _spare(words):
        fits, ruled_out = _fitting(answers, words.without(unused))
        if fits:
            return Fit(fits, ruled_out, unused)
    for unused in ((), *_spare(words)):
        if mistake := _mistaken(answers, words.without(unused)):
            return Fit((), out, unused, mistake)
    return Fit((), out)


def _spare(words: Words) -> Iterator[tuple[str, ...]]:
    """Yield sets of options that are on in the probes, the smallest first."""
    on = [o for o, h in words.hyper.items() if h == "weight_decay" or (h in SPARE and words.values.get(o))]
    for count in range(1, len(on) + 1):
        yield from itertools.combinations(on, count)


def _fitting(
    answers: Answers, words: Words, rough: str | None = None
) -> tuple[tuple[Rule, ...], dict[str, str]]:
    """Hold every known rule against the recordings: those that fit, and what rules out the others."""
    fits: list[Rule] = []
    out: dict[str, str] = {}
    linear, still = is_linear(answers.moves), not any(answers.moves["impulse"])
    for rule in RULES.values():
        try:
            its_own = is_linear(_moves_of(Claim(rule, words), answers))
        except InputError as error:  # it is not defined for these options
            out[rule.name] = str(error)
            continue
        if not still and its_own != linear:
            twice = "not " if linear else ""
            out[rule.name] = f"twice the gradient would {twice}move w twice as far"
            continue
        nearest: tuple[int, str] | None = None
        for variant in variants(rule, words):
            why = _first_mismatch(Claim(variant, words, rough=rough), answers)
            if why is None:
                fits.append(variant)
                nearest = None
                break
            if nearest is None or why[0] > nearest[0]:
                nearest = why
        if nearest is not None:
            out[rule.name] = nearest[1]
    # with a look-ahead, and nothing else, it is as well known as without: the mean of gradients before Muon's
    fits.sort(key=lambda r: (r.mistake is not None, "(" in r.name.removesuffix("(nesterov=True)")))
    told = [_but_for_decay(r) for r in fits]  # Adam with its decay elsewhere is AdamW: say it once
    return tuple(r for i, r in enumerate(fits) if told[i] not in told[:i]), out


def _but_for_decay(rule: Rule) -> Any:
    """What a rule computes, and its own defaults, but for those of its weight decay and learning rate."""
    return rule.formula, [(x.name, x.default) for x in rule.hypers if x.name not in DECAYING]


def _form(answers: Answers, words: Words) -> Rule | None:
    """The form that a rule has in another library, if one reproduces what was recorded."""
    forms = (form for rule in RULES.values() for form in elsewhere(rule))
    for variant in (variant for form in forms for variant in variants(form, words)):
        if _first_mismatch(Claim(variant, words), answers) is None:
            return variant
    return None


def _moves_of(claim: Claim, answers: Answers) -> dict[str, tuple[float, ...]]:
    """How a rule would have moved w in the probes that show whether it is linear."""
    return {
        name: moves(claim.expected(answers.traces[name].script, in_floats=True))
        for name in ("impulse", "double")
    }


def _first_mismatch(claim: Claim, answers: Answers) -> tuple[int, str] | None:
    """How many probes a rule passes before one rules it out, and by which number."""
    for i, (name, trace) in enumerate(answers.traces.items()):
        try:
            found = claim.parts(trace)
        except InputError as error:
            return i, str(error)
        if found is not None:
            would, is_now = apart(found.expected, found.got)
            would = f"w would be {would} after step {found.step}, but is {is_now}"
            return i, f"with {PROBES[name]}, {would}"
    return None


def _mistaken(answers: Answers, words: Words) -> str | None:
    """The known mistake that reproduces what was recorded, in words."""
    for family, mistakes in MISTAKES.items():
        for rule in (variant for mistake in mistakes for variant in variants(mistake, words)):
            if all(Claim(rule, words).holds(t) for t in answers.traces.values()):
                return f"{family} with a known mistake: {rule.mistake}"
    return None
