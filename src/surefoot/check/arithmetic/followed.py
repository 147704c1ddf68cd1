"""Which rule reproduces what was recorded: exactly, as float32 would, or but for an obvious fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.recording import Recorder
from surefoot.check.arithmetic.scripts import LARGE
from surefoot.check.known.libraries import elsewhere, two_points
from surefoot.check.known.rounding import follows_roughly
from surefoot.check.known.variants import conventions, variants
from surefoot.check.options.words import Words
from surefoot.check.protocol import Options
from surefoot.rules import Rule
from surefoot.trace import Trace
from surefoot.trace.compare import UNIT_ROUNDOFF
from surefoot.trace.values import elements

__all__ = ["followed", "precision"]


def followed(recorder: Recorder, named: Rule | None) -> tuple[Claim | None, str]:
    """The rule that reproduces plain steps, or all but those of an obvious fault; and which those are not.

    The rule named is tried first. Conventions that agree in plain steps are told apart by parameters that are
    moved from outside.
    """
    words, plain = recorder.heard, recorder.telling
    kinds: list[tuple[Sequence[Trace], list[str], str]] = [(plain, [], "")]
    if not words.others:  # what those do is not known
        unused = [option for option in words.switchable({}) if _unused(option, plain)]
        if unused:
            but = f" while {' and '.join(unused)} is off"
            kinds.append(([_without(t, unused) for t in plain], unused, but))
        small = [t for t in plain if not _large(t)]
        if 0 < len(small) < len(plain):
            kinds.append((small, [], " but for large numbers"))
    for kept, unused, but in kinds:
        found = next(_reproducing(recorder, named, words, kept), None)
        if found is not None:
            apart = [_without(t, unused) for t in recorder.moved]
            heard = words.without(set(unused))
            others = () if all(map(found.holds, apart)) else _reproducing(recorder, named, heard, kept)
            return next((claim for claim in others if all(map(claim.holds, apart))), found), but
    return None, ""


def _without(trace: Trace, unused: Sequence[str]) -> Trace:
    """The same recording, as one that was made with these options off."""

    def off(options: Options) -> Options:
        return {o: type(v)(0) if o in unused else v for o, v in options.items()}

    return replace(trace, script=trace.script.with_options(off))


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


def precision(given: Options) -> str | None:
    """The lowest precision that the user asked for by name, as in state_dtype=float32."""
    names = {str(v).removeprefix("torch.") for v in given.values()} & UNIT_ROUNDOFF.keys()
    return max(names, key=UNIT_ROUNDOFF.__getitem__, default=None)


def _reproducing(
    recorder: Recorder, named: Rule | None, words: Words, plain: Sequence[Trace]
) -> Iterator[Claim]:
    """Yield the rules that reproduce recordings: exactly, as closely as asked for, as float32 would."""
    claims = [Claim(rule, words) for rule in dict.fromkeys(_first(named, words))]
    yield from (claim for claim in claims if all(map(claim.holds, plain)))
    if wanted := precision(recorder.patient.given):
        rough = [claim.roughly(wanted) for claim in claims]
        yield from (claim for claim in rough if all(map(claim.holds, plain)))
    yield from (claim.roughly() for claim in claims if follows_roughly(claim, plain, recorder))


def _first(named: Rule | None, words: Words) -> Iterator[Rule]:
    if named is not None and not words.unheard(named):
        own = list(variants(named, words))
        yield from own
        yield from (other for rule in own for other in elsewhere(rule) if not words.unheard(other))
    yield from conventions(words)
    if not words.unheard(two_points):  # Keras's with Nesterov, until w is moved
        yield two_points
