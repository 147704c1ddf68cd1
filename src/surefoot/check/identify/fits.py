"""Which rules reproduce what was recorded, and the first number that rules out each of the others."""

from __future__ import annotations

from surefoot.check.claim import Claim
from surefoot.check.guess import variants
from surefoot.check.identify.probes import PROBES, Answers, moves
from surefoot.check.identify.readings import is_linear
from surefoot.check.mistakes import ADAM_MISTAKES, SGD_MISTAKES
from surefoot.check.wording import number
from surefoot.check.words import Words
from surefoot.errors import InputError
from surefoot.rules import RULES, Rule

__all__ = ["fitting", "mistaken"]


def fitting(answers: Answers, words: Words) -> tuple[tuple[Rule, ...], dict[str, str]]:
    """Hold every known rule against the recordings: those that fit, and what rules out the others."""
    fits: list[Rule] = []
    out: dict[str, str] = {}
    linear = is_linear(answers.moves)
    for rule in RULES.values():
        if is_linear(_moves_of(Claim(rule, words), answers)) != linear:
            twice = "not " if linear else ""
            out[rule.name] = f"twice the gradient would {twice}move w twice as far"
            continue
        nearest: tuple[int, str] | None = None
        for variant in variants(rule, words):
            why = _first_mismatch(Claim(variant, words), answers)
            if why is None:
                fits.append(variant)
                nearest = None
                break
            if nearest is None or why[0] > nearest[0]:
                nearest = why
        if nearest is not None:
            out[rule.name] = nearest[1]
    fits.sort(key=lambda r: (r.mistake is not None, "(" in r.name))
    formulas = [r.formula for r in fits]  # Adam with its decay elsewhere is AdamW: say it once
    return tuple(r for i, r in enumerate(fits) if r.formula not in formulas[:i]), out


def _moves_of(claim: Claim, answers: Answers) -> dict[str, tuple[float, ...]]:
    """How a rule would have moved w in the probes that show whether it is linear."""
    return {name: moves(claim.expected(answers.traces[name].script)) for name in ("impulse", "double")}


def _first_mismatch(claim: Claim, answers: Answers) -> tuple[int, str] | None:
    """How many probes a rule passes before one rules it out, and by which number."""
    for i, (name, trace) in enumerate(answers.traces.items()):
        try:
            found = claim.mismatch(trace)
        except InputError as error:
            return i, str(error)
        if found is not None:
            would = f"w would be {number(found.expected)} after step {found.step}, but is {number(found.got)}"
            return i, f"with {PROBES[name]}, {would}"
    return None


def mistaken(answers: Answers, words: Words) -> str | None:
    """The known mistake that reproduces what was recorded, in words."""
    for rule in (*SGD_MISTAKES, *ADAM_MISTAKES):
        if all(Claim(rule, words).holds(t) for t in answers.traces.values()):
            return str(rule.mistake)
    return None
