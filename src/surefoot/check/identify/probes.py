"""Chosen gradients that make an optimizer show what it is: impulses, a changed lr, a moved parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from surefoot.check.options.hypers import TRIED
from surefoot.check.options.words import Words
from surefoot.check.protocol import Patient, Raised
from surefoot.trace import Group, Move, Script, Set, Step, Trace
from surefoot.trace.values import elements

__all__ = ["PROBES", "Answers", "ask", "matters_in_matrices", "moves"]

STEPS = 12
_SIGNS = [Fraction(n, 2) for n in (2, -1, 4, -3, 1, -2, -2, 3, -1, 2, 1, -4)]
# name → what it is for
PROBES = {
    "impulse": "a gradient of 1 at step 1, then 0",
    "late impulse": "a gradient of 1 at step 2",
    "half": "a gradient of 1/2 at step 1",
    "double": "a gradient of 2 at step 1",
    "changed lr": "a gradient of 1, then half the lr from step 3",
    "decay": "weight decay alone, from w = 1",
    "decay and gradient": "weight decay and a gradient of 1, from w = 0",
    "moved": "a gradient of 1, then w set to 5 before step 3",
    "signs": "gradients of both signs, from w = 2",
    "decay on the way": "weight decay and a gradient of 1, from w = 1",
}


@dataclass(frozen=True)
class Answers:
    """What an optimizer did in each probe.

    `spares`: weight decay reaches matrices alone; w was one in the probes about it. `decay`: its size there.
    """

    traces: Mapping[str, Trace]
    spares: bool
    decay: Fraction

    @cached_property
    def moves(self) -> dict[str, tuple[float, ...]]:
        """How far w moved at each step of each probe."""
        return {name: moves(trace) for name, trace in self.traces.items()}


def ask(patient: Patient, words: Words, lr: Fraction) -> Answers:
    """Record the probes; those about weight decay only if there is such an option.

    Raises:
        Raised: the optimizer raised.
        Died: its process ended.
    """
    decay, rate = words.option("weight_decay"), words.option("lr")
    decay = None if decay in words.held else decay
    pace = {rate: lr} if rate is not None and rate not in {*patient.given, *words.held} else {}
    calm = {**pace, decay: Fraction(0)} if decay else pace
    size = (_number(patient.given.get(decay)) or _taken(patient, decay)) if decay else Fraction(0)
    decayed = {**pace, decay: size} if decay else {}
    first, second = _impulse(1), _impulse(2)
    scripts = {
        "impulse": _script(0, first, calm),
        "late impulse": _script(0, second, calm),
        "half": _script(0, [g / 2 for g in first], calm),
        "double": _script(0, [2 * g for g in first], calm),
        "moved": _script(0, first, calm, {3: (Move("w", 5),)}),
    }
    eps = words.option("eps")  # a usual one hides where it stands
    seen = {eps: TRIED["eps"][0]} if eps and eps not in {*patient.given, *words.held} else {}
    scripts["signs"] = _script(2, [Fraction(1), _turning(words), *_SIGNS], calm | seen)
    if rate is not None:
        scripts["changed lr"] = _script(0, first, calm, {3: (Set(rate, lr / 2),)})
    if decay is not None:
        scripts["decay"] = _script(1, [Fraction(0)] * STEPS, decayed)
        scripts["decay and gradient"] = _script(0, first, decayed)
        scripts["decay on the way"] = _script(1, first, decayed)  # LARS skips where either is 0
    traces = {}
    for name in (n for n in PROBES if n in scripts):
        try:
            traces[name] = patient.record(scripts[name])
        except Raised as error:
            if error.action != "set":  # without groups to write into, all else can be asked
                raise
    spares = False
    if decay is not None and not any(moves(traces["decay"])):
        matrices = {n: s.map(lambda _, x: ((x,),)) for n, s in scripts.items() if n.startswith("decay")}
        again = {n: patient.record(script) for n, script in matrices.items()}
        if spares := any(moves(again["decay"])):
            traces |= again
    return Answers(traces, spares, size)


def matters_in_matrices(patient: Patient, option: str, value: Fraction) -> bool:
    """Whether a number option that changes nothing of a single w does of a matrix."""
    start = ((Fraction(1), Fraction(3)), (Fraction(2), Fraction(-1)))
    gradients = ((Fraction(1), Fraction(1, 2)), (Fraction(-1, 2), Fraction(1)))
    step = Step({"w": gradients})
    with_it, without = (
        patient.record(Script({"w": start}, (Group(("w",), {option: v}),), (step, step))).steps
        for v in (value, Fraction(0))
    )
    return [m.w for m in with_it] != [m.w for m in without]


def _taken(patient: Patient, decay: str) -> Fraction:
    """The first weight decay, of smaller and smaller ones, that is not refused."""
    usual: Fraction = TRIED["weight_decay"][0]
    for value in (usual / 2**k for k in (0, 1, 2, 3, 5, 7)):
        try:
            patient.record(_script(1, [Fraction(0)], {decay: value}))
        except Raised as error:
            if error.action == "construction":
                continue
        return value
    return usual


def _turning(words: Words) -> Fraction:
    """A second gradient at which the sign of β₁m + (1 − β₁)g goes by whether m has had it already."""
    option = words.option("betas")
    beta1, beta2 = map(Fraction, words.values.get(option or "", (0.9, 0.99)))
    before, after = beta1 / (1 - beta1 or 1), beta1 * beta2 / (1 - beta1 * beta2 or 1)
    return -(1 - beta2) * (before + after) / 2


def _impulse(at: int) -> list[Fraction]:
    return [Fraction(int(t == at)) for t in range(1, STEPS + 1)]


def _script(
    start: int,
    gradients: list[Fraction],
    options: Mapping[str, Any],
    events: Mapping[int, tuple[Any, ...]] = {},
) -> Script:
    steps = tuple(Step({"w": g}, events.get(t, ())) for t, g in enumerate(gradients, 1))
    return Script({"w": start}, (Group(("w",), options),), steps)


def moves(trace: Trace) -> tuple[float, ...]:
    """How far w moved at each step."""

    def only(value: Any) -> float:
        return float(next(elements(value)))

    return tuple(only(m.w["w"]) - only(m.before["w"]) for m in trace.steps)


def _number(value: Any) -> Fraction | None:
    return Fraction(repr(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
