"""Which rule an optimizer claims to follow, when nobody says: by its name, its options, its behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from surefoot.check.claim import Claim
from surefoot.check.fixed import fixed, missing
from surefoot.check.libraries import elsewhere
from surefoot.check.mistakes import MISTAKES, as_in, mistakes_in
from surefoot.check.naming import claims_momentum, named_after, title
from surefoot.check.protocol import Options, Signature
from surefoot.check.rounding import follows_roughly
from surefoot.check.scripts import LARGE
from surefoot.check.wording import listed
from surefoot.check.words import Words
from surefoot.rules import DECAYS, RULES, Rule
from surefoot.trace import Trace
from surefoot.trace.compare import UNIT_ROUNDOFF
from surefoot.trace.values import elements

__all__ = ["Guess", "conventions", "guess", "precision", "variants"]

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


def conventions(words: Words) -> Iterator[Rule]:
    """Yield every rule that hears all of the optimizer's options, with weight decay in each of its places."""
    for rule in RULES.values():
        if rule.mistake or rule.name in ("adamw", "amsgrad") or words.unheard(rule):
            continue
        yield from variants(rule, words)


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
    followed, but = _followed_at_all(named, words, plain, precision(given), moved) if plain else (None, "")
    behaves, rough = (followed.rule, followed.rough) if followed else (None, None)
    mistaken = None
    if followed is None and named is not None and not words.unheard(named) and plain:
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


def _followed_at_all(
    named: Rule | None,
    words: Words,
    plain: Sequence[Trace],
    wanted: str | None,
    moved: Callable[[], Sequence[Trace]],
) -> tuple[Claim | None, str]:
    """The rule that reproduces recordings, or all but those of an obvious fault; and which those are not."""
    kinds: list[tuple[Sequence[Trace], list[str], str]] = [(plain, [], "")]
    if not words.others:  # what those do is not known
        unused = [option for option in words.switchable({}) if _unused(option, plain)]
        small = [t for t in plain if not _large(t)]
        kinds.append(([_without(t, unused) for t in plain], unused, f" while {' and '.join(unused)} is off"))
        kinds.append((small, [], " but for large numbers"))
    for kept, unused, but in kinds:
        if not kept or (kept is not plain and not unused and len(kept) == len(plain)):
            continue
        found = next(_followed(named, words, kept, wanted), None)
        if found is not None:
            apart = [_without(t, unused) for t in moved()]
            heard = words.without(set(unused))
            others = () if all(map(found.holds, apart)) else _followed(named, heard, kept, wanted)
            return next((claim for claim in others if all(map(claim.holds, apart))), found), but
    return None, ""


def _without(trace: Trace, unused: Sequence[str]) -> Trace:
    """The same recording, as one that was made with these options off."""
    groups = tuple(
        replace(g, options={o: type(v)(0) if o in unused else v for o, v in g.options.items()})
        for g in trace.script.groups
    )
    return replace(trace, script=replace(trace.script, groups=groups))


def _unused(option: str, plain: Sequence[Trace]) -> bool:
    """Whether steps with an option switched on are those without it, wherever both were taken."""
    taken: dict[Any, list[Any]] = {}
    pairs = 0
    for on in (False, True):
        for trace in plain:
            options = dict(trace.script.groups[0].options)
            if bool(options.pop(option, None)) is not on:
                continue
            key = str((sorted(options.items()), trace.script.start, trace.script.steps))
            steps = [m.w for m in trace.steps]
            if not on:
                taken[key] = steps
            elif key in taken:
                pairs += 1
                if taken[key] != steps:
                    return False
    return pairs > 0


def _large(trace: Trace) -> bool:
    return any(abs(x) > LARGE / 8 for value in trace.script.start.values() for x in elements(value))


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


def precision(given: Options) -> str | None:
    """The lowest precision that the user asked for by name, as in state_dtype=float32."""
    names = {str(v).removeprefix("torch.") for v in given.values()} & UNIT_ROUNDOFF.keys()
    return max(names, key=UNIT_ROUNDOFF.__getitem__, default=None)


def _followed(
    named: Rule | None, words: Words, plain: Sequence[Trace], wanted: str | None
) -> Iterator[Claim]:
    """Yield the rules that reproduce recordings: exactly, as closely as asked for, as float32 would."""
    claims = [Claim(rule, words) for rule in dict.fromkeys(_first(named, words))]
    yield from (claim for claim in claims if all(map(claim.holds, plain)))
    if wanted:
        rough = [claim.roughly(wanted) for claim in claims]
        yield from (claim for claim in rough if all(map(claim.holds, plain)))
    yield from (claim.roughly() for claim in claims if follows_roughly(claim, plain))


def _first(named: Rule | None, words: Words) -> Iterator[Rule]:
    if named is not None and not words.unheard(named):
        own = list(variants(named, words))
        yield from own
        yield from (other for rule in own for other in elsewhere(rule) if not words.unheard(other))
    yield from conventions(words)


def variants(rule: Rule, words: Words) -> Iterator[Rule]:
    """Yield a rule with weight decay in each of its places, and with Nesterov if there is no such option."""
    hypers = {x.name: x for x in rule.hypers}
    always = [False, True] if "nesterov" in hypers and words.option("nesterov") is None else [None]
    places = [hypers["decay"].default] if "decay" in hypers else [None]
    if "decay" in hypers and words.option("weight_decay") is not None:
        places += [d for d in DECAYS if d != places[0]]
    for nesterov in always:
        for place in places:
            changes: dict[str, Any] = {"nesterov": True} if nesterov else {}
            if place is not None and place != hypers["decay"].default:
                changes["decay"] = place
            yield rule.variant(title=title(rule, changes), **changes) if changes else rule
