"""Differences that are conventions, and no faults: another library's form, float32 inside, steps per group.

To agree with a rule to seven digits need not mean that anything is in float32: a small number added under a
root does the same. So it takes a sign of float32, and no known mistake that fits exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.recording import Recorder
from surefoot.check.known.bookkeeping import with_shared_counts
from surefoot.check.known.libraries import elsewhere
from surefoot.check.known.mistakes import mistakes_in
from surefoot.check.verdict import SHARED_COUNT
from surefoot.errors import InputError
from surefoot.trace import Trace
from surefoot.trace.compare import UNIT_ROUNDOFF
from surefoot.trace.values import Number, elements, exact_binary

__all__ = ["ROUGHLY", "by_ulps", "convention", "follows_roughly", "in_float32"]

ROUGHLY = (
    "it follows the rule within float32 rounding: something is kept or computed in float32, even for float64"
)


def follows_roughly(claim: Claim, traces: Sequence[Trace], recorder: Recorder) -> bool:
    """Whether recordings follow the rule as closely as float32 would, and something is in float32.

    By an exact rule, as SGD's, all of a step must be, which the recorder finds out: a buffer alone loses
    digits that the rest has kept.
    """
    if all(map(claim.follows_roughly, traces)):
        return in_float32(claim, traces)
    return claim.rule.exact and all(map(claim.roughly().holds, traces)) and recorder.single


def in_float32(claim: Claim, traces: Sequence[Trace]) -> bool:
    """Whether what parts from a rule by little shows that something is kept, or computed, in float32."""
    parted = [t for t in traces if not claim.holds(t) and not by_ulps(claim, t)]
    if not any(map(_shows, parted)):
        return False
    mistaken = (replace(claim, rule=rule, slots={}) for rule in mistakes_in(claim.rule))
    return not any(all(map(other.holds, traces)) for other in mistaken)


def by_ulps(claim: Claim, got: Trace) -> bool:
    """Whether a recording first parts from a rule by a few roundings of float64, far less than float32's."""
    try:
        found = claim.mismatch(got)
    except InputError:  # the rule cannot play it
        return False
    if found is None or got.dtypes.get(found.name, "float64") != "float64":
        return False
    gap = abs(float(exact_binary(found.got) - exact_binary(found.expected)))
    largest = max(abs(x) for m in got.steps[: found.step] for x in elements(m.w[found.name]))
    # float32 rounds by 2²⁹ times as much, if only a part of w
    return bool(gap <= 2**9 * max(found.allowed, UNIT_ROUNDOFF["float64"] * largest))


def convention(claim: Claim, traces: Sequence[Trace]) -> str:
    """Say so, if what parts from a claim is only another convention: of rounding, counting, or a library."""
    for rule in elsewhere(claim.rule):
        if all(map(replace(claim, rule=rule, slots={}).holds, traces)):
            return rule.title
    exact = claim.rule.exact
    if not exact and all(map(claim.roughly().holds, traces)) and in_float32(claim, traces):
        return ROUGHLY
    for counting in with_shared_counts(claim):
        if all(map(counting.holds, traces)):
            return SHARED_COUNT
        if all(map(counting.roughly().holds, traces)) and any(map(_shows, traces)):
            return f"{SHARED_COUNT}; {ROUGHLY}"
    return ""


def _shows(got: Trace) -> bool:
    """Whether state is in less than float64, or its numbers, or w's, or its moves, are those of float32."""
    places = [n for n in got.script.names if got.dtypes.get(n) == "float64"]
    narrow = any(UNIT_ROUNDOFF.get(d, 1.0) > UNIT_ROUNDOFF["float64"] for d in got.state_dtypes.values())
    if narrow and len(places) == len(got.script.names):  # beside narrow parameters it is theirs
        return True
    if not places:
        return False
    found = [[x for n in places for x in made(got, n)] for made in (_values, _moves)]
    slots = dict.fromkeys(k for m in got.steps for n in places for k in m.state.get(n, {}))
    kept = [[x for n in places for x in _kept(got, n, slot)] for slot in slots]
    found += [numbers for numbers in kept if any(map(_is_long, numbers))]  # a count is exact in any dtype
    return any(all(map(_is_float32, numbers)) for numbers in found)


def _values(got: Trace, name: str) -> Iterator[Number]:
    return (x for m in got.steps for x in elements(m.w[name]))


def _moves(got: Trace, name: str) -> Iterator[Number]:
    for m in got.steps:
        for before, after in zip(elements(m.before[name]), elements(m.w[name]), strict=True):
            yield after - before


def _kept(got: Trace, name: str, slot: str) -> Iterator[Number]:
    return (x for m in got.steps for x in elements(m.state.get(name, {}).get(slot, ())))


def _is_long(x: Number) -> bool:
    """Whether a number takes nearly all bits of a float32, as one that was rounded, and no short fraction."""
    n = x.numerator if isinstance(x, Fraction) else 0
    return n != 0 and (n // (n & -n)).bit_length() > 21


def _is_float32(x: Number) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", float(x)))[0] == x)
    except OverflowError:  # too large for float32
        return False
