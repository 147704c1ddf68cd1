"""Which rule an optimizer claims to follow, when nobody says: by its name, its options, its behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from surefoot.check.claim import Claim
from surefoot.check.fixed import fixed, missing
from surefoot.check.followed import followed, precision
from surefoot.check.libraries import elsewhere
from surefoot.check.mistakes import MISTAKES, as_in, mistakes_in
from surefoot.check.naming import claims_momentum, named_after, title
from surefoot.check.protocol import Options, Signature
from surefoot.check.variants import variants
from surefoot.check.wording import listed
from surefoot.check.words import Words
from surefoot.rules import RULES, Rule
from surefoot.trace import Trace

__all__ = ["Guess", "guess"]

# options that take weight decay out of the gradient
DECOUPLES = ("decoupled_weight_decay", "weight_decouple", "decouple_wd", "decoupled_decay")
# options that say how a rule is computed, not which
IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}


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


def guess(
    signature: Signature,
    words: Words,
    plain: Sequence[Trace],
    given: Options,
    moved: Callable[[], Sequence[Trace]] = tuple,
) -> Guess:
    """Guess the rule from a class's name, its options, those given, and recordings of plain steps.

    Args:
        signature: of the class.
        words: what its options mean.
        plain: recordings of plain steps.
        given: options that are given with every call.
        moved: gives recordings of parameters that are moved from outside, by which conventions are told apart
            that agree in plain steps.
    """
    (named, whole), by = named_after(signature.name, words), "its name"
    for option, value in given.items():
        if isinstance(value, str) and option not in words.hyper and value in RULES:
            named, whole, by = RULES[value], True, f"{option}={value!r}"
        if value is True and option in DECOUPLES and named and "decay" in {x.name for x in named.hypers}:
            called = title(named, {"decay": "decoupled"})
            named, by = named.variant(title=called, decay="decoupled"), f"{by} and {option}=True"
    claim, but = followed(named, words, plain, precision(given), moved) if plain else (None, "")
    behaves, rough = (claim.rule, claim.rough) if claim else (None, None)
    mistaken = None
    if claim is None and named is not None and not words.unheard(named) and plain:
        behaves = _with_fixed(named, words, plain)
        mistaken = _mistaken_with_fixed(named, words, plain) if behaves is None else None
        named = behaves or mistaken or named
    if whole and named is not None and behaves is not None and _denies(signature.name, named, behaves):
        behaves = None
    by_part = "sgd" in signature.name.lower() and not words.others
    if named is not None and behaves is not None and behaves.name == named.name:
        agree = f"agree within {rough} rounding" if rough else "agree"
        why = f"{named.title}, by {by}; its plain steps {agree}{but}."
        return Guess(named, why, behaves, rough, by, sure=whole or by_part)
    if named is not None and not words.unheard(named):
        if behaves is not None:
            return Guess(named, f"{named.title}, by {by}.", behaves, rough, by, sure=whole or by_part)
        lacks = missing(named, words) if plain else []
        if whole and not claims_momentum(signature.name):  # then it claims to have none
            lacks = [name for name in lacks if name != "momentum"]
        if lacks and mistaken is None and not _mistaken(words, plain):
            why = (
                f"By {by} it would be {named.title}, but none of its options is known to be "
                f"{listed(lacks, 'or')}, and with none of the usual values does that rule reproduce its "
                "plain steps: what the code has in their place cannot be told, so they are not judged; "
                "--rule NAME holds it to a rule."
            )
            return Guess(None, why)
        if whole or by_part:
            return Guess(named, f"{named.title}, by {by} and options.")
        if any(_mistaken_in(mistakes_in(named), words, plain)):
            return Guess(named, f"{named.title}, by {by}, and since with a known mistake it is that.")
    if behaves is not None:
        follow = f"follow within {rough} rounding" if rough else "follow"
        why = f"{behaves.title}, which its plain steps {follow}{but}."
        return Guess(behaves, why, behaves, rough, sure=False)
    if _is_sgd_at_rest(signature, words, plain):
        sgd = RULES["torch"]
        why = f"{sgd.title}, by its options, and since it is that while none of them is on."
        return Guess(sgd, why, by="its options")
    why = "No known rule reproduces its plain steps, so they are not judged; --rule NAME holds it to one."
    if plain and (known := _mistaken(words, plain)):
        why = f"No known rule reproduces its plain steps, but {known} does. --rule NAME holds it to a rule."
    return Guess(None, why)


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
        inside = [as_in(mistake, rule) for mistake in mistakes_in(named)]
        if any(_mistaken_in(inside, words, plain)):
            return rule
    return None


def _denies(name: str, named: Rule, behaves: Rule) -> bool:
    """Whether a class does not do what its name says.

    AdamW and SGDW decouple their decay, and add none to the gradient; Nesterov looks ahead.
    """
    of = {x.name: x.default for x in behaves.hypers}
    ahead = of.get("nesterov") or behaves.family in ("sutskever", "chainer_nag")
    if not ahead and any(x.name == "nesterov" and x.default for x in named.hypers):
        return True
    return of.get("decay") == "l2" and any(w in name.lower() for w in ("adamw", "sgdw"))


def _is_sgd_at_rest(signature: Signature, words: Words, plain: Sequence[Trace]) -> bool:
    """Whether an optimizer has SGD's options and no others, and with all of them off is plain SGD."""
    sgd = RULES["torch"]
    others = {*signature.options, *signature.required} - words.hyper.keys() - IMPLEMENTATION
    if others or words.unheard(sgd) or words.ambiguous or "momentum" not in words.hyper.values():
        return False
    switches = words.switchable({})
    resting = [t for t in plain if not any(t.script.groups[0].options.get(o) for o in switches)]
    claim = Claim(sgd, words)
    return bool(resting) and all(map(claim.holds, resting))


def _mistaken(words: Words, plain: Sequence[Trace]) -> str:
    """The known mistake that reproduces plain steps, in words."""
    for family, mistakes in MISTAKES.items():
        for rule in _mistaken_in(mistakes, words, plain):
            return f"{family} with a known mistake ({rule.mistake})"
    return ""


def _mistaken_in(mistakes: Sequence[Rule], words: Words, plain: Sequence[Trace]) -> Iterator[Rule]:
    """Yield the known mistakes that reproduce plain steps."""
    if plain:
        heard = (rule for rule in mistakes if not words.unheard(rule))
        yield from (rule for rule in heard if all(map(Claim(rule, words).holds, plain)))
