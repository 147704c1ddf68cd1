"""Options that no rule has, at values with which they do nothing: no warm-up, no bound for a norm.

At its default such an option may be what parts an optimizer from its rule, by design. So the rest is judged
with it out of the way, and the report says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from surefoot.check.arithmetic.claim import Claim
from surefoot.check.arithmetic.recording import Recorder
from surefoot.check.protocol import Died, Options, Raised
from surefoot.check.sandbox.sandbox import Sandbox
from surefoot.rules import Rule
from surefoot.trace import Trace

__all__ = ["neutral"]

MOST = 3  # options that are tried
SECONDS = 1.0  # for a step: so many may be waited for, by an option that counts turns of a loop
ENDLESS = 10**15  # far beyond any step, and any norm


def neutral(recorder: Recorder, rule: Rule, left: Options) -> dict[str, Any]:
    """Values with which plain steps follow a rule that they part from otherwise; none if there are none.

    Args:
        recorder: of the optimizer.
        rule: that it should follow.
        left: the options that the rule does not have, and their values.
    """
    claim = Claim(rule, recorder.heard)
    plain = [r.trace for r in recorder.plain if r.trace]
    if not left or len(left) > MOST or isinstance(recorder.plain[-1].outcome, Died):
        return {}
    parts = next((t for t in plain if not claim.holds(t)), None)
    if parts is None:
        return {}
    with recorder.patient.hurried(SECONDS):
        for values in _tried(left, bounded=isinstance(recorder.patient, Sandbox)):
            try:
                trace = recorder.patient.record(parts.script, values)
            except (Raised, MemoryError):
                continue
            except Died:  # the next may take as long to die
                return {}
            if claim.holds(trace) and _follows(recorder, claim, values):
                return values
    return {}


def _follows(recorder: Recorder, claim: Claim, values: Mapping[str, Any]) -> bool:
    plain = Recorder(recorder.patient, recorder.seed, recorder.words, values).plain
    traces: list[Trace] = [r.trace for r in plain if r.trace]
    return bool(traces) and all(map(claim.holds, traces))


def _tried(left: Options, *, bounded: bool) -> Iterator[dict[str, Any]]:
    """Yield values to try: those that change few options come first."""
    several = [[v, *_values(v, bounded)] for v in left.values()]
    chosen = [dict(zip(left, values, strict=True)) for values in itertools.product(*several)]
    changed = ({o: v for o, v in values.items() if v is not left[o]} for values in chosen)
    yield from sorted(filter(None, changed), key=len)


def _values(default: Any, bounded: bool) -> list[Any]:
    """What may switch an option off; a whole number without end, where a loop of so many turns is stopped."""
    kind = type(default)
    if kind not in (int, float):
        return []
    return [None, kind(0), kind(1), kind(-1), *([kind(ENDLESS)] if bounded or kind is float else [])]
