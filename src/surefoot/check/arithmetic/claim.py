"""A claim: this optimizer follows that rule. It is held against what was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from surefoot.check.arithmetic.pool import pooled
from surefoot.check.options.rate import rate
from surefoot.check.options.words import Words
from surefoot.check.protocol import Options
from surefoot.errors import InputError
from surefoot.rules import Rule
from surefoot.rules.numbers import to_mpmath
from surefoot.trace import Group, Mismatch, Script, Set, Step, Trace, compare, magnitudes, replay
from surefoot.trace.compare import UNIT_ROUNDOFF
from surefoot.trace.values import elements, exact, shape

__all__ = ["Claim", "same"]

# dyadic numbers of so few bits are exact, together with what they are computed from
_EXACT_BITS = {"float64": 44, "float32": 20}
_FIRST = 1  # steps, in which a rule that is another mostly shows
_SHORT = 8  # steps; in longer runs the fractions of a rule that divides grow to millions of digits


def same(script: Script) -> Script:
    """The script as it is."""
    return script


@dataclass(frozen=True)
class Claim:
    """A rule, and how the optimizer's words and state translate into it.

    Args:
        rule: the rule.
        words: the optimizer's options.
        slots: slot of the optimizer → slot of the rule, for state that is held against the rule too.
        twist: changes a script before it is replayed: a mistake that is not in the formula, as stale options.
        rough: a dtype; numbers of a higher precision are compared as if they had been computed in this one.
    """

    rule: Rule
    words: Words
    slots: Mapping[str, str] = field(default_factory=dict)
    twist: Callable[[Script], Script] = same
    rough: str | None = None

    def script(self, script: Script) -> Script:
        """The script in the rule's words: options renamed, filled up with the optimizer's own defaults."""
        hyper = self.words.heard(self.rule)
        shown = {} if self.rate is None else {"lr": self.rate}

        def options(group: Group) -> dict[str, Any]:
            made = {**self._named(group.options), **shown}
            if "lr_max" in self.rule.defaults and "lr" in made:
                made.setdefault("lr_max", made["lr"])
            return made

        def events(step: Step) -> Iterable[Any]:
            for e in step.events:
                if not isinstance(e, Set):
                    yield e
                elif e.option in hyper:
                    yield Set(hyper[e.option], e.value, e.group)

        groups = tuple(dataclasses.replace(g, options=options(g)) for g in script.groups)
        steps = tuple(Step(s.gradients, tuple(events(s))) for s in script.steps)
        return self.twist(dataclasses.replace(script, groups=groups, steps=steps))

    @cached_property
    def rate(self) -> Fraction | None:
        """The learning rate that the first move shows, where there is no option for it."""
        first = self.words.first
        if first is None or "lr" not in self.rule.defaults or self.words.option("lr") is not None:
            return None
        return rate(self.rule, self._named(first.options), first.size)

    def _named(self, options: Options) -> dict[str, Any]:
        """Options by the rule's names, filled up with the optimizer's own defaults."""
        hyper = self.words.heard(self.rule)
        ours, theirs = (
            {hyper[o]: v for o, v in of.items() if o in hyper} for of in (self.words.values, options)
        )
        return ours | theirs

    def learns_nothing(self, script: Script) -> bool:
        """Whether an average of the script takes in nothing new, as with β = 1: no example to learn from."""
        averages = {o for o, h in self.words.hyper.items() if h in ("alpha", "rho", "beta1", "beta2")}
        return any(g.options.get(o) == 1 for g in script.groups for o in averages)

    def expected(self, script: Script, *, in_floats: bool = False) -> Trace:
        """What the rule makes of a script (in the optimizer's words); `in_floats`: float64 will do."""
        return self._played(self.script(script), None, in_floats)

    def _played(self, ours: Script, follow: Trace | None, in_floats: bool) -> Trace:
        if self.rule.exact and len(ours.steps) <= _SHORT:
            return _replay(ours, self.rule, follow, Fraction)
        if in_floats:
            return _replay(ours, self.rule, follow, float)
        import mpmath

        with mpmath.workdps(30):
            return _replay(ours, self.rule, follow, to_mpmath)

    def mismatch(self, got: Trace) -> Mismatch | None:
        """Where a recording first parts from the rule: in the whole run, or in a step from its own values."""
        found, exact = self._compare(got, None)
        if found is None and not exact:  # bit for bit equal, its own values are the rule's
            found, _ = self._compare(got, self._renamed(got))
        return found

    def roughly(self, dtype: str = "float32") -> Claim:
        """The same claim of an optimizer that computes in this dtype, where parameters are more precise."""
        return dataclasses.replace(self, rough=dtype)

    def holds(self, got: Trace) -> bool:
        """Whether a recording follows the rule; one that the rule cannot play does not."""
        try:
            return (self._parts_at_once(got) or self._compare(got, None)[0]) is None
        except InputError:
            return False

    def follows_roughly(self, got: Trace) -> bool:
        """Whether a recording follows the rule as closely as float32 would, bit for bit where it is exact."""
        rough = self.roughly()
        try:
            if rough._parts_at_once(got) is not None:
                return False
            found, exact = self._compare(got, None)
        except InputError:
            return False
        return found is None or (not exact and rough.holds(got))

    def with_slots(self, traces: Sequence[Trace]) -> Claim:
        """The same claim, of the state too: of slots that equal one of the rule's in all these recordings."""
        theirs = dict.fromkeys(k for got in traces for m in got.steps for s in m.state.values() for k in s)
        pairs = sorted(
            ((k, ours.name) for k in theirs for ours in self.rule.slots), key=lambda pair: pair[0] != pair[1]
        )
        slots: dict[str, str] = {}
        for mine, ours in pairs:
            if mine not in slots and ours not in slots.values():
                claim = dataclasses.replace(self, slots={mine: ours})
                seen = [got for got in traces if claim._speaks_of(got, mine, ours)]
                if seen and all(map(claim.holds, seen)):
                    slots[mine] = ours
        return dataclasses.replace(self, slots=slots)

    def _speaks_of(self, got: Trace, theirs: str, ours: str) -> bool:
        """Whether a slot of the size of its parameter is there, and the rule has its own at the same time."""
        expected = self.expected(got.script, in_floats=True)
        return any(
            theirs in slots and shape(slots[theirs]) == shape(m.w[n]) and ours in e.state.get(n, {})
            for m, e in zip(got.steps, expected.steps, strict=True)
            for n, slots in m.state.items()
        )

    def parts(self, got: Trace) -> Mismatch | None:
        """Where a recording parts from the rule by more than rounding at once, else where it first does."""
        return self._parts_at_once(got) or self.mismatch(got)

    def _parts_at_once(self, got: Trace) -> Mismatch | None:
        """Where the first steps part from the rule by more than rounding, as most other rules do."""
        if len(got.steps) <= 2 * _FIRST:
            return None
        got = self._as_rough(got)
        whole = self.script(got.script)
        ours = dataclasses.replace(whole, steps=whole.steps[:_FIRST])
        expected = self._played(ours, None, "float64" not in got.dtypes.values())
        bounds = _replay(ours, self.rule, None, None)
        return compare(expected, got, bounds=bounds, slots=self.slots, partial=True, forms=self.rule)

    def _as_rough(self, got: Trace) -> Trace:
        if not self.rough:
            return got
        dtypes = {n: max(d, self.rough, key=UNIT_ROUNDOFF.__getitem__) for n, d in got.dtypes.items()}
        return dataclasses.replace(got, dtypes=dtypes)

    def _compare(self, got: Trace, follow: Trace | None) -> tuple[Mismatch | None, bool]:
        """The first mismatch, and whether it was compared bit for bit."""
        got = self._as_rough(got)
        ours = self.script(got.script)
        expected = self._played(ours, follow, "float64" not in got.dtypes.values())
        bounds = None
        if not (exact := _exact(expected, got) and self._in_short_numbers(ours)):
            bounds = _replay(ours, self.rule, follow, None)
        found = compare(
            expected,
            got,
            bounds=bounds,
            slots=self.slots,
            local=follow is not None,
            partial=True,
            forms=self.rule,
        )
        return found, exact

    def _in_short_numbers(self, ours: Script) -> bool:
        """Whether the options are short binary fractions: by 0.9 other forms round where the rule adds 0."""
        fixed = [x.default for x in self.rule.hypers if x.is_number and x.name not in ours.groups[0].options]
        given = [v for g in ours.groups for v in g.options.values()]
        given += [e.value for s in ours.steps for e in s.events if isinstance(e, Set)]
        numbers = [exact(x) for x in (*fixed, *given) if isinstance(x, (float, Fraction))]
        return all(isinstance(x, Fraction) and _is_short(x, _EXACT_BITS["float64"]) for x in numbers)

    def _renamed(self, got: Trace) -> Trace:
        """The recording with the rule's names for the state it speaks of, and no other state."""
        steps = []
        for m in got.steps:
            state = {
                n: {self.slots[k]: v for k, v in slots.items() if k in self.slots}
                for n, slots in m.state.items()
            }
            steps.append(dataclasses.replace(m, state=state))
        return dataclasses.replace(got, steps=tuple(steps))


def _replay(script: Script, rule: Rule, follow: Trace | None, number: Any) -> Trace:
    """Replay in these numbers, or (None) in magnitudes; elements of equal fate are replayed once."""

    def play(s: Script) -> Trace:
        if number is None:
            return magnitudes(s, rule, follow=follow)
        return replay(s, rule, number, follow=follow)

    small = pooled(script) if follow is None else None
    if small is None:
        return play(script)
    return small[1](play(small[0]))


def _exact(expected: Trace, got: Trace) -> bool:
    """Whether every number expected is a short binary fraction, so that rounding has no excuse."""
    bits = min(_EXACT_BITS.get(d, 0) for d in got.dtypes.values()) if got.dtypes else 44
    return bits > 0 and all(
        _is_short(x, bits) if isinstance(x, Fraction) else isinstance(x, int)
        for m in expected.steps
        for value in (*m.w.values(), *(v for slots in m.state.values() for v in slots.values()))
        for x in elements(value)
    )


def _is_short(x: Fraction, bits: int) -> bool:
    d = x.denominator
    return not d & (d - 1) and max(x.numerator.bit_length(), d.bit_length()) <= bits
