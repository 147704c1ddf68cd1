"""What an optimizer is while all that can be switched off is: SGD by its options, or the rule of its name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.naming.methods import another_method
from surefoot.check.options.words import Words
from surefoot.check.protocol import Signature
from surefoot.errors import InputError
from surefoot.rules import RULES, SGD_FAMILY, Rule, get
from surefoot.trace import Trace
from surefoot.trace.values import Value, elements, shape

__all__ = ["resting"]

# options that say how a rule is computed, not which
IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}
SHORT = 4  # letters; AdamC and AdamWR are other algorithms, AdamDecayAfter tells what it does


def resting(
    named: Rule | None, rest: Sequence[str], signature: Signature, words: Words, plain: Sequence[Trace]
) -> Rule | None:
    """The rule that it is at rest, and is held to with its options on, too; none, if it has others than that.

    Args:
        named: the rule that its name tells, if any.
        rest: the words that its name has beside.
        signature: of the class.
        words: what its options mean.
        plain: recordings of plain steps.
    """
    others = {*signature.options, *signature.required} - words.hyper.keys() - IMPLEMENTATION
    if others or words.ambiguous:
        return None
    switches = words.switchable({})
    calm = [t for t in plain if not any(t.script.groups[0].options.get(o) for o in switches)]
    if not calm or len(calm) == len(plain):
        return None
    of_sgd = named is None or named.family in {r.family for r in SGD_FAMILY}
    if named is not None and not of_sgd:
        speaks = all(len(word) >= SHORT for word in rest) and not another_method(signature.name)
        return named if speaks and _is(named, words, calm) else None
    if "momentum" not in words.hyper.values() or not _is(RULES["torch"], words, calm):
        return None
    return _nearest(named, words, plain)


def _is(rule: Rule | None, words: Words, calm: Sequence[Trace]) -> bool:
    return rule is not None and not words.unheard(rule) and all(map(Claim(rule, words).holds, calm))


def _nearest(named: Rule | None, words: Words, plain: Sequence[Trace]) -> Rule:
    """Of the SGD family, the convention that most recordings follow; if it may be, the one named, or torch's.

    Of those that are followed as often, the one whose buffer is kept, and then the one that is left last.
    """
    known = [named] if named is not None else []
    known += [r for r in (*SGD_FAMILY, get("classical")) if not r.mistake]
    heard = [r for r in known if not words.unheard(r)]
    held = {r: sum(map(Claim(r, words).holds, plain)) for r in heard}
    best = [r for r in heard if held[r] == max(held.values())]
    decay, momentum = words.option("weight_decay"), words.option("momentum")
    options = [(t, t.script.groups[0].options) for t in plain]
    # where a buffer is made of the gradients alone
    bare = [t for t, o in options if o.get(momentum or "") and not o.get(decay or "")]

    def near(rule: Rule) -> list[int]:
        return [*map(sum, zip(*(_alike(rule, words, t) for t in bare), strict=True))]

    return max(best, key=near)


def _alike(rule: Rule, words: Words, got: Trace) -> tuple[bool, int]:
    """Whether a slot of the state is the rule's throughout; and in how many first steps w is."""
    try:
        expected = Claim(rule, words).expected(got.script, in_floats=True)
    except InputError:
        return False, 0
    pairs = list(zip(got.steps, expected.steps, strict=True))
    kept = [(state, list(e.state.get(n, {}).values())) for m, e in pairs for n, state in m.state.items()]
    slots = {slot for state, _ in kept for slot in state}
    same = any(all(any(_near(state.get(slot), v) for v in made) for state, made in kept) for slot in slots)
    alike = itertools.takewhile(lambda pair: all(_near(pair[0].w[n], v) for n, v in pair[1].w.items()), pairs)
    return same, len(list(alike))


def _near(a: Value | None, b: Value) -> bool:
    if a is None or shape(a) != shape(b):
        return False
    return all(math.isclose(x, y, rel_tol=1e-9) for x, y in zip(elements(a), elements(b), strict=True))
