"""Options under names of the author's own: which hyperparameter of a rule each of them is.

`rho` is RMSprop's smoothing in Keras and Adadelta's elsewhere, `alpha` a learning rate in Adam's paper: a
name alone does not say. So an optimizer is recorded with numbers that differ from option to option, and what
reproduces the recording is what the names mean. Where nothing does, they are taken as they are mostly meant.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.scripts import few
from surefoot.check.arithmetic.wording import listed
from surefoot.check.known.variants import variants
from surefoot.check.naming.claimed import read_name
from surefoot.check.options.hypers import MEANT, PLAIN_NAMES, TRIED
from surefoot.check.options.words import Words
from surefoot.check.protocol import Died, Patient, Raised
from surefoot.rules import RULES, Rule
from surefoot.trace import Trace

__all__ = ["as_usual", "by_trial", "doubtful", "told", "understood"]

# All in (0, 1), where every hyperparameter may lie; none is a value that another option is tried with.
_VALUES = (Fraction(5, 8), Fraction(11, 16), Fraction(13, 16), Fraction(9, 16))
_BY_VALUE = ("rho", "alpha", "gamma")  # momentum only if the default is one: else of a schedule, say


def by_trial(patient: Patient, words: Words, rule: Rule, most: int = 4) -> Words | None:
    """The words in which the rule reproduces steps with all these options on; None if there are none.

    Args:
        patient: the optimizer.
        words: what its options are taken for by their names alone.
        rule: that it may follow.
        most: how many options of its own are tried; with more, none.
    """
    own, lacks = _open(words, rule)
    if len(own) > most:
        return None
    for size in range(min(len(own), len(lacks)), 0, -1):
        for chosen in itertools.combinations(own, size):
            recorded = _record(patient, words, rule, chosen, own)
            if recorded is None:
                continue
            # what they are taken for by their names comes first
            roles = [*dict.fromkeys([words.hyper[o] for o in chosen if words.hyper.get(o) in lacks] + lacks)]
            for meant in itertools.permutations(roles, size):
                meaning = dict(zip(chosen, meant, strict=True))
                if _crosswise(meaning, own):
                    continue
                heard = words.meaning(meaning, rule, own)
                if any(_follows(v, heard, chosen, recorded) for v in variants(rule, heard)):
                    return as_usual(heard, rule)  # what is left may be wrong, and is judged then
    return None


def _crosswise(meaning: Mapping[str, str], own: Sequence[str]) -> bool:
    """Whether an option has the role of which another has the name, as of swapped betas."""
    return any(
        _roles(o) and h not in _roles(o) and any(h in _roles(other) for other in own if other != o)
        for o, h in meaning.items()
    )


def _roles(option: str) -> set[str]:
    """What an option of this name is often meant as."""
    return {h for h, names in MEANT.items() if option == h or option.lower() in names}


def understood(patient: Patient, words: Words, rule: Rule | None) -> Words | None:
    """The words in which the rule that was guessed, or any if none was, reproduces all that options do.

    Where none does, those in which it is the rule of its class's name, as names are mostly meant.
    """
    found = _understood(patient, words, rule)
    # an option that the rule does not have may be what makes it another
    if found is not None and words.hyper.keys() <= found.hyper.keys():
        return found
    return _without_more(patient, words) if rule is None else None


def _without_more(patient: Patient, words: Words) -> Words | None:
    """The words without options that are off, and that the rule of its class's name does not have."""
    named = read_name(patient.signature.name, words).rule
    more = words.unheard(named) if named is not None else []
    return words.without(more) if more and not any(words.values.get(o) for o in more) else None


def _understood(patient: Patient, words: Words, rule: Rule | None) -> Words | None:
    if rule is not None:
        if not doubtful(words, rule):
            return None
        found = by_trial(patient, words, RULES.get(rule.family, rule))
        usual = as_usual(words, rule)
        new = {h for o, h in usual.hyper.items() if o not in words.hyper}
        # weight decay is 0 unless it is given; any other would not be off in the plain steps
        return usual if found is None and new == {"weight_decay"} else found
    read = read_name(patient.signature.name, words)
    named = read.rule
    rules = [r for r in (named, *RULES.values()) if r is not None and not r.mistake and doubtful(words, r)]
    for candidate in rules:
        if candidate is not named and candidate.name in ("adamw", "amsgrad"):  # Adam, in plain steps
            continue
        found = by_trial(patient, words, candidate, most=len(_VALUES) if candidate is named else 3)
        if found is not None:
            return found
    if named is None or not read.whole or not doubtful(words, named):
        return None
    usual = as_usual(words, named)
    # what is left and not off may do something of its own
    unknown = any(words.values.get(o, 0) != 0 for o in usual.others)
    return None if unknown or usual.hyper == words.hyper else usual


def doubtful(words: Words, rule: Rule) -> bool:
    """Whether there are options whose names do not settle what they are for this rule."""
    return bool(_open(words, rule)[0])


def as_usual(words: Words, rule: Rule) -> Words:
    """The words as names are mostly meant, for a rule; options that it does not know stay as they are."""
    own, lacks = _open(words, rule)
    kept = words.heard(rule)
    free = [o for o in own if o not in kept]
    meaning: dict[str, str] = {}
    for hyper in (h for h in MEANT if h in lacks and h not in kept.values()):
        names = [o for o in free if o.lower() in MEANT.get(hyper, ()) and o not in meaning]
        if hyper == "momentum":
            names = [o for o in names if o not in _BY_VALUE or 0 < words.values.get(o, 0) < 1]
        if names:
            meaning[min(names, key=lambda o: MEANT[hyper].index(o.lower()))] = hyper
    return words.meaning(kept | meaning, rule)


def _open(words: Words, rule: Rule) -> tuple[list[str], list[str]]:
    """Number options whose names do not settle what they are; and hyperparameters that no other option is."""
    heard = words.heard(rule)
    settled = {o: h for o, h in heard.items() if o == h or o in PLAIN_NAMES or not words.is_number(o)}
    if "lr" not in heard.values():  # Goodfellow, Bengio and Courville call the learning rate ε
        settled = {o: h for o, h in settled.items() if h != "eps"}
    own = [o for o in (*words.hyper, *words.others) if o not in settled and words.is_number(o)]
    taken = set(settled.values()) | ({"beta1", "beta2"} if "betas" in settled.values() else set())
    numbers = (x.name for x in rule.hypers if not x.choices and x.name in TRIED)
    return [o for o in own if o not in words.fixed], [n for n in numbers if n not in taken]


def _record(
    patient: Patient, words: Words, rule: Rule, chosen: Sequence[str], own: Sequence[str]
) -> list[Trace] | None:
    """Recordings with other numbers for the chosen options, a short one first; None if they are refused."""
    others = {o: h for o, h in words.heard(rule).items() if o not in own and o not in words.fixed}
    on = {o: words.tried(o)[0] for o in others if not isinstance(words.tried(o)[0], bool)}
    for values in (on, {o: v for o, v in on.items() if others[o] == "lr"}):
        try:
            traces = [
                patient.record(few({**values, **dict(zip(chosen, numbers, strict=False))}))
                for numbers in (_VALUES, _VALUES[::-1])
            ]
        except Raised:
            continue
        except Died:
            break
        first = traces[0]  # its first step refutes most meanings at once
        short = replace(first.script, steps=first.script.steps[:1])
        return [replace(first, script=short, steps=first.steps[:1]), *traces]
    return None


def _follows(rule: Rule, words: Words, chosen: Sequence[str], recorded: Sequence[Trace]) -> bool:
    """Whether recordings follow the rule, and would not if any of the chosen options were left alone."""
    if not all(map(Claim(rule, words).holds, recorded)):
        return False
    return not any(all(map(Claim(rule, words.without({o})).holds, recorded)) for o in chosen)


def told(words: Words, before: Words) -> str:
    """What options were found to mean where their names do not say, as the end of a sentence."""
    new = {o: h for o, h in words.hyper.items() if before.hyper.get(o) != h}
    left = [o for o in before.hyper if o not in words.hyper]
    said = ""
    if new:
        said += f"; {listed(new)} {'is' if len(new) == 1 else 'are'} taken to be its {listed(new.values())}"
    if left:
        one = len(left) == 1
        what = "is not one of its hyperparameters" if one else "are not hyperparameters of it"
        said += f"; {listed(left)} {what} and {'stays' if one else 'stay'} as given"
    return said
