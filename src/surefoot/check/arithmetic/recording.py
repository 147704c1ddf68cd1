"""Recording an optimizer: situations are played with combinations of its options."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from surefoot.check.arithmetic.scripts import few, longer, once
from surefoot.check.arithmetic.situations import PLAIN, SITUATIONS, Situation, played
from surefoot.check.options.rate import first_move
from surefoot.check.options.words import Words, combinations
from surefoot.check.protocol import MATRICES_ONLY, SAYS_SO, Died, Options, Patient, Raised
from surefoot.trace import Script, Trace
from surefoot.trace.values import Value

__all__ = ["Recorder", "Recording"]

ENOUGH = 24  # combinations of options in one situation

# in nanoGPT and many others: biases and the scales of norms are vectors
SPARES_VECTORS = (
    "weight decay applies only to parameters of more than one dimension, not to biases and norm scales; so "
    "all of this was examined on matrices"
)
REFUSES_VECTORS = "it does not accept vectors; so all of this was examined on matrices"


@dataclass(frozen=True)
class Recording:
    """A script as the optimizer played it, or what it raised instead."""

    script: Script
    dtype: str
    options: dict[str, Any]
    outcome: Trace | Raised | Died

    @property
    def refused(self) -> bool:
        """Whether the constructor does not accept these options, or the groups lack one to be changed."""
        return isinstance(self.outcome, Raised) and self.outcome.action in ("construction", "set")

    @property
    def refuses_vectors(self) -> bool:
        """Whether it is refused, or a step says in words that it takes matrices alone."""
        o = self.outcome
        said = isinstance(o, Raised) and o.action == "step" and o.kind in SAYS_SO
        return self.refused or (said and MATRICES_ONLY.search(str(o)) is not None)

    @property
    def trace(self) -> Trace | None:
        """What was recorded, unless it raised."""
        return self.outcome if isinstance(self.outcome, Trace) else None


class Recorder:
    """Plays scripts on one patient, `beside` other options; equal seeds give equal scripts."""

    def __init__(
        self, patient: Patient, seed: int, words: Words | None = None, beside: Options | None = None
    ) -> None:
        self.patient, self.seed, self.beside = patient, seed, dict(beside or {})
        self.words = words or Words.of(patient.signature, patient.given)
        self.off = {o: self.words.off(o) for o in self.words.switchable(patient.given)}
        self.matrices = ""  # why the vectors of every script are columns instead

    @cached_property
    def plain(self) -> list[Recording]:
        """Plain steps with every combination of the options; of matrices, where vectors are no good."""
        found = self._combined()
        if kept := self._kept(found):
            self.words = replace(self.words, fixed=self.words.fixed | kept)
            self.off = {o: off for o, off in self.off.items() if o not in kept}
            found = self._combined()
        if gentler := self._gentler(found):
            self.words = replace(self.words, gentler=gentler)
            found = self._combined()
        if self.words.option("lr") is None:
            self.words = replace(self.words, first=first_move(found[0].trace))
        refused = all(r.refuses_vectors for r in found)
        if refused or self._decays(found) is False:
            self.matrices = REFUSES_VECTORS if refused else SPARES_VECTORS
            columns = self._combined()
            if not all(r.refuses_vectors for r in columns) if refused else self._decays(columns):
                return columns
            self.matrices = ""
        return found

    def _combined(self) -> list[Recording]:
        """Plain steps with every combination of the options, as far as these are understood by now."""
        return list(self.record(PLAIN, combinations(self.words, self.patient.given)))

    def _kept(self, found: list[Recording]) -> frozenset[str]:
        """Options of the user's own rule that take no values but their own, as a whole number no 2.0."""
        own = {o for o in self.words.own if o in found[0].options}
        if not own or any(r.trace or isinstance(r.outcome, Died) for r in found):
            return frozenset()
        kept: set[str] = set()
        rest = {o: v for o, v in found[0].options.items() if o not in own}
        if self.play(few(rest), "float64").trace is None:
            return frozenset()
        for option in sorted(own):
            more = {**rest, option: found[0].options[option]}
            if self.play(few(more), "float64").trace is None:
                kept.add(option)
            else:
                rest = more
        return frozenset(kept)

    def _gentler(self, found: list[Recording]) -> dict[str, tuple[Fraction, Fraction]]:
        """Smaller numbers for options that refuse the usual ones, or what the user gave: see `Words`."""
        gentler: dict[str, tuple[Fraction, Fraction]] = {}
        taken = [r.options for r in found if not r.refused]
        steady = self.words.steady(self.patient.given) if not taken else []
        for option in (*self.off, *steady):
            usual = self.words.tried(option)[0]
            if not isinstance(usual, Fraction) or any(o.get(option) == usual for o in taken):
                continue
            given = self.patient.given.get(option)
            smaller = [usual / 2**k for k in (1, 2, 3, 5, 7)]
            if isinstance(given, (int, float)):
                smaller = [Fraction(given)]
            for value in smaller:
                options = {**found[0].options, option: value}
                if value and not self.play(few(options), "float64").refused:
                    gentler[option] = (value, value / 2)
                    break
        return gentler

    def _decays(self, found: list[Recording]) -> bool | None:
        """Whether weight decay changes anything in the first run that has it; None if that cannot be told."""
        option = self.words.option("weight_decay")
        with_it = next((r for r in found if option is not None and r.trace and r.options.get(option)), None)
        if option is None or with_it is None or isinstance(found[-1].outcome, Died):
            return None
        without = self.play(with_it.script.with_options(lambda o: {**o, option: 0}), with_it.dtype)
        if with_it.trace is None or without.trace is None:
            return None
        return [m.w for m in without.trace.steps] != [m.w for m in with_it.trace.steps]

    @cached_property
    def heard(self) -> Words:
        """The options without those that are refused whenever they are on: a rule need not know them."""
        taken = [r.options for r in self.plain if not r.refused]
        refused = {o for o, off in self.off.items() if all(t.get(o, off) == off for t in taken)}
        return self.words.without(refused)

    @cached_property
    def telling(self) -> list[Trace]:
        """What tells conventions apart: plain steps, twice as many, and steps under a changed lr."""
        if isinstance(self.plain[-1].outcome, Died):
            return []
        changed = next(s for s in SITUATIONS if s.clause.id == "changed-lr")
        taken = self.accepted(0)
        more = [self.play(self._shaped(longer(options)), "float64", options) for options in taken]
        return [r.trace for r in (*self.plain, *self.record(changed, taken), *more) if r.trace]

    @cached_property
    def moved(self) -> list[Trace]:
        """What tells conventions apart that agree on all else: parameters that are moved from outside."""
        situation = next(s for s in SITUATIONS if s.clause.id == "moved")
        return [r.trace for r in self.record(situation, self.accepted(0)) if r.trace and not r.script.dtypes]

    @cached_property
    def single(self) -> bool:
        """Whether a step takes 1 + 2⁻⁴⁰ for 1, so that all of it is computed in float32."""
        ends = []
        for gradient in (1, 1 + Fraction(1, 2**40)):
            played = self.play(self._shaped(once(self.plain[0].options, gradient)), "float64")
            ends.append(played.trace.steps[0].w["w"] if played.trace else None)
        return ends[0] == ends[1] is not None

    @cached_property
    def waits(self) -> int:
        """The step at which w first moves if all options but lr are at their defaults; 0 if it does not."""
        lr = self.words.option("lr")
        options = {o: v for o, v in self.plain[0].options.items() if o == lr}
        trace = self.play(self._shaped(longer(options)), "float64").trace
        moved = (t for t, m in enumerate(trace.steps, 1) if m.w != m.before) if trace else iter(())
        return next(moved, 0)

    @property
    def refusal(self) -> str | None:
        """Why no step can be judged, if so: the constructor refuses, or a given option forbids."""
        if self.patient.given.get("differentiable"):
            return "With differentiable=True a step needs non-leaf parameters, and these are leaves."
        first = self.plain[0].outcome
        if all(r.refused for r in self.plain):
            return self._unmade() or f"It cannot be constructed with float64 vectors: {first}"
        if option := self._forbidding():
            value = self.patient.given[option]
            return f"With {option}={value!r} a step fails here: {first}"
        return None

    def _unmade(self) -> str:
        """Say why it cannot be constructed, if not of the contract's float32 matrices either."""
        with contextlib.suppress(Died, MemoryError):
            if raised := self.patient.observe("constructs", {}, {}).get("raised"):
                line = f" ({raised['line']})" if raised["line"] else ""
                return f"It cannot be constructed: {raised['kind']}: {raised['said']}{line}."
        return ""

    def _forbidding(self) -> str | None:
        """The option that the user gave, with which every step says that it does not go, and else goes."""
        outcomes = [r.outcome for r in self.plain if not r.refused]
        if not all(isinstance(o, Raised) and o.kind in SAYS_SO for o in outcomes):
            return None
        usual, script = self.patient.signature.options, self.plain[0].script
        for option in self.patient.given:
            if option in usual and option not in self.words.hyper:
                with contextlib.suppress(Raised, Died):
                    self.patient.record(script, {option: usual[option]})
                    return option
        return None

    def record(self, situation: Situation, options: Iterable[dict[str, Any]]) -> Iterator[Recording]:
        """Play a situation with each of some combinations of the options."""
        for chosen in options:
            for script in played(situation, self.words, chosen, self.seed):
                for dtype in situation.dtypes:
                    recording = self.play(self._shaped(script), dtype, chosen)
                    yield recording
                    if isinstance(recording.outcome, Died):
                        return  # the next would most likely take as long to die
                    if recording.refused:
                        break

    def _shaped(self, script: Script) -> Script:
        return script.map(_column) if self.matrices else script

    def play(
        self, script: Script, dtype: str, options: dict[str, Any] | None = None, *, ones: bool = False
    ) -> Recording:
        """Play one script; `ones`: as in `Patient.record`."""
        try:
            outcome: Trace | Raised | Died = self.patient.record(script, self.beside, dtype, ones=ones)
        except (Raised, Died) as error:
            outcome = error
        except MemoryError:  # in this process
            outcome = Died("It requested too much memory.")
        return Recording(script, dtype, options or {}, outcome)

    def accepted(self, near: int) -> list[dict[str, Any]]:
        """Options that switch on as much as the constructor takes; the same with `near` less; and none."""
        taken = [r.options for r in self.plain if not r.refused]
        taken = [o for i, o in enumerate(taken) if o not in taken[:i]]
        on = [frozenset(k for k, v in o.items() if k in self.off and v != self.off[k]) for o in taken]
        largest = [s for s in on if not any(s < other for other in on)]
        chosen = [
            options
            for options, s in zip(taken, on, strict=True)
            if not s or any(s <= m and len(m - s) <= near for m in largest)
        ]
        return chosen[:ENOUGH]


def _column(name: str, vector: Value) -> Value:
    assert isinstance(vector, tuple), "the scripts hold vectors"
    return tuple((x,) for x in vector)
