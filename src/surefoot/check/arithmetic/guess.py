"""Which rule an optimizer claims to follow, when nobody says: by its name, its options, its behaviour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.followed import followed
from surefoot.check.arithmetic.recording import Recorder
from surefoot.check.arithmetic.resting import resting
from surefoot.check.arithmetic.wording import listed
from surefoot.check.known.libraries import elsewhere
from surefoot.check.known.mistakes import MISTAKES, climbs, mistakes_in
from surefoot.check.known.variants import variants
from surefoot.check.naming.claimed import asked_for, claims_momentum, denies, is_plain, read_name, title
from surefoot.check.naming.frameworks import FRAMEWORKS
from surefoot.check.naming.methods import another_method
from surefoot.check.options.fixed import fixed, missing
from surefoot.check.options.words import Words
from surefoot.check.protocol import Signature
from surefoot.rules import RULES, Rule
from surefoot.trace import Trace

__all__ = ["Guess", "guess"]

# options that take weight decay out of the gradient
DECOUPLES = ("decoupled_weight_decay", "weight_decouple", "decouple_wd", "decoupled_decay")
SOUND = ("torch", "adam", "rmsprop", "lion", "adagrad", "adamax")  # of the families with known mistakes
MISTAKEN = "its plain steps are that rule with a known mistake"
BY_DESIGN = (
    " If it is meant to be a different rule, use --rule file.py:NAME to check it against your own formula, "
    "or --skip arithmetic."
)
OTHERWISE = {*FRAMEWORKS, "no", "non", "without"}  # in a name: what it does otherwise may be meant
ASCENDS = re.compile("asce|ascent|maxim|climb", re.I)  # a class whose steps are meant to lead uphill


@dataclass(frozen=True)
class Guess:
    """The rule guessed, why, and the convention that the optimizer in fact follows, if that is another.

    `rough`: it follows that only within the rounding of this dtype. `by`: what the guess goes by. `sure`: the
    name says so as a whole; else it is another algorithm that is this one in plain steps.
    """

    rule: Rule | None
    why: str
    behaves: Rule | None = None
    rough: str | None = None
    by: str = "its name"
    sure: bool = True


def guess(recorder: Recorder) -> Guess:
    """Guess the rule from a class's name, its options, those given, and recordings of plain steps."""
    found = _evidence(recorder)
    return _confirmed(found) or _claimed(found) or _followed(found) or _at_rest(found) or _unknown(found)


@dataclass(frozen=True)
class _Evidence:
    """What a guess goes by.

    Args:
        signature: of the class.
        words: what its options mean.
        plain: recordings of plain steps.
        named: the rule that its name or an option names, if any.
        whole: whether that is all that the name says.
        rest: the words that it has beside.
        by: what names it.
        behaves: the rule that its plain steps follow, if they do.
        rough: the dtype within whose rounding they do, if not exactly.
        but: what is to be said beside that.
        mistaken: whether `named` has an unusual ε of the code's own, found out through a known mistake.
    """

    signature: Signature
    words: Words
    plain: Sequence[Trace]
    named: Rule | None
    whole: bool
    rest: tuple[str, ...]
    by: str
    behaves: Rule | None
    rough: str | None
    but: str
    mistaken: bool

    @property
    def sure(self) -> bool:
        """Whether it is the algorithm named, and not another that is this one in plain steps."""
        name = self.signature.name
        return self.whole or ("sgd" in name.lower() and not self.words.others and not another_method(name))


def _evidence(recorder: Recorder) -> _Evidence:
    signature, words, plain = recorder.patient.signature, recorder.heard, recorder.telling
    read, by = read_name(signature.name, words), "its name"
    named, whole = read.rule, read.whole
    for option, value in recorder.patient.given.items():
        if isinstance(value, str) and option not in words.hyper and value in RULES:
            named, whole, by = RULES[value], True, f"{option}={value!r}"
        if value is True and option in DECOUPLES and named and "decay" in named.defaults:
            called = title(named, {"decay": "decoupled"})
            named, by = named.variant(title=called, decay="decoupled"), f"{by} and {option}=True"
    claim, but = followed(recorder, named) if plain else (None, "")
    behaves, rough = (claim.rule, claim.rough) if claim else (None, None)
    mistaken = None
    if claim is None and named is not None and not words.unheard(named) and plain:
        behaves = _with_fixed(named, words, plain)
        mistaken = _mistaken_with_fixed(named, words, plain) if behaves is None else None
        named = behaves or mistaken or named
    if whole and named and behaves and denies(signature.name, named, behaves):
        behaves = None
    return _Evidence(
        signature, words, plain, named, whole, read.rest, by, behaves, rough, but, mistaken is not None
    )


def _confirmed(e: _Evidence) -> Guess | None:
    """The rule named, which it follows."""
    if e.named is None or e.behaves is None or e.behaves.name != e.named.name:
        return None
    agree = f"agree within {e.rough} rounding" if e.rough else "agree"
    why = f"{e.named.title}, by {e.by}; its plain steps {agree}{e.but}."
    return Guess(e.named, why, e.behaves, e.rough, e.by, sure=e.sure)


def _claimed(e: _Evidence) -> Guess | None:
    """The rule named, which it does not follow; none, where what stands in place of options is unknown."""
    if e.named is None or e.words.unheard(e.named):
        return None
    if e.behaves is not None:
        return Guess(e.named, f"{e.named.title}, by {e.by}.", e.behaves, e.rough, e.by, sure=e.sure)
    if (lacks := _lacking(e, e.named)) and not e.mistaken and not _mistaken(e.words, e.plain):
        why = (
            f"By {e.by} it would be {e.named.title}, but it has no known option for {listed(lacks, 'or')}, "
            "and that rule does not reproduce its plain steps with any of the usual values. So the "
            "arithmetic is not judged; --rule NAME checks it against a rule."
        )
        return Guess(None, why)
    if e.sure:
        by_design = "" if e.whole or not e.plain else BY_DESIGN
        return Guess(e.named, f"{e.named.title}, by {e.by} and options.{by_design}")
    meant = not OTHERWISE.isdisjoint(e.rest) or another_method(e.signature.name)
    if not meant and any(_mistaken_in(mistakes_in(e.named), e.words, e.plain)):
        return Guess(e.named, f"{e.named.title}, by {e.by}, and since {MISTAKEN}.")
    return None


def _lacking(e: _Evidence, named: Rule) -> list[str]:
    """The hyperparameters of the rule named that the class should have as options, and has not."""
    lacks = missing(named, e.words) if e.plain else []
    if e.whole and not claims_momentum(e.signature.name):  # then it claims to have none
        lacks = [name for name in lacks if name != "momentum"]
    return lacks


def _followed(e: _Evidence) -> Guess | None:
    """The rule that it follows, though another or none is named."""
    if e.behaves is None:
        return None
    follow = f"follow within {e.rough} rounding" if e.rough else "follow"
    why = f"{e.behaves.title}, which its plain steps {follow}{e.but}."
    return Guess(e.behaves, why, e.behaves, e.rough, sure=False)


def _at_rest(e: _Evidence) -> Guess | None:
    """The rule that it is while all its options are off: SGD, or of Adam's kind where its name says so."""
    rule = resting(e.named, e.rest, e.signature, e.words, e.plain)
    if rule is None:
        return None
    off = "all its options off"
    if method := another_method(e.signature.name):
        why = (
            f"With {off} it is {rule.title}, but its name suggests another method, {method}, and no known "
            "rule reproduces its plain steps. So the arithmetic is not judged; --rule NAME checks it "
            "against a rule."
        )
        return Guess(None, why)
    if e.named is not None and e.named.family == rule.family:
        why = f"{rule.title}, by its name, and since it follows that rule with {off}.{BY_DESIGN}"
        return Guess(rule, why)
    why = f"{rule.title}, by its options, and since it follows that rule with all of them off.{BY_DESIGN}"
    return Guess(rule, why, by="its options")


def _unknown(e: _Evidence) -> Guess:
    mistake = _mistaken(e.words, e.plain)
    if mistake is None:
        held = _would_hold(e.named, "--rule NAME checks it against a rule")
        said = "No known rule reproduces its plain steps, so the arithmetic is not judged"
        return Guess(None, f"{said}; {held}.")
    rule = next(rule for rule in map(RULES.__getitem__, SOUND) if mistake in mistakes_in(rule))
    if not ASCENDS.search(e.signature.name) and (climbs(mistake) or is_plain(e.signature.name)):
        by_design = "" if climbs(mistake) else BY_DESIGN
        return Guess(rule, f"{rule.title}, since {MISTAKEN}.{by_design}", sure=False)
    family = next(name for name, mistakes in MISTAKES.items() if mistake in mistakes)
    known = f"{family} with a known mistake ({mistake.mistake})"
    held = _would_hold(e.named, "--rule NAME checks it against a rule")
    return Guess(
        None, f"No known rule reproduces its plain steps, but {known} does. {held[0].upper()}{held[1:]}."
    )


def _would_hold(named: Rule | None, otherwise: str) -> str:
    """Say which options hold it to the rule of its name, if it has one."""
    asked = asked_for(named) if named is not None else ""
    checks = "checks it against that"
    return f"by its name it may be {named.title}: {asked} {checks}" if named and asked else otherwise


def _with_fixed(named: Rule, words: Words, plain: Sequence[Trace]) -> Rule | None:
    """The rule, in one of its forms, that reproduces plain steps with usual numbers in its code."""
    forms = (form for variant in variants(named, words) for form in (variant, *elsewhere(variant)))
    inside = (rule for form in forms if not words.unheard(form) for rule in fixed(form, words))
    return next((rule for rule in inside if all(map(Claim(rule, words).holds, plain))), None)


def _mistaken_with_fixed(named: Rule, words: Words, plain: Sequence[Trace]) -> Rule | None:
    """The rule with an unusual ε in its code, if with a known mistake that reproduces plain steps."""
    if missing(named, words) != ["eps"]:  # with more to try, what fits could be chance
        return None
    for rule in fixed(named, words):
        inside = [mistake.with_defaults_of(rule) for mistake in mistakes_in(named)]
        if any(_mistaken_in(inside, words, plain)):
            return rule
    return None


def _mistaken(words: Words, plain: Sequence[Trace]) -> Rule | None:
    """The first known mistake that reproduces plain steps, if one does."""
    every = (rule for mistakes in MISTAKES.values() for rule in _mistaken_in(mistakes, words, plain))
    return next(every, None)


def _mistaken_in(mistakes: Sequence[Rule], words: Words, plain: Sequence[Trace]) -> Iterator[Rule]:
    """Yield the known mistakes that reproduce plain steps."""
    if plain:
        heard = (rule for rule in mistakes if not words.unheard(rule))
        yield from (rule for rule in heard if all(map(Claim(rule, words).holds, plain)))
