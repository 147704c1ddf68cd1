"""Which rule an optimizer follows, read off from what it does with chosen gradients.

Where the rule is linear, one unit gradient shows all of it: how far w moves at once, by which factor each
later move shrinks, and what changes when the learning rate or the parameter does. Then every known rule is
held against the same recordings.
"""

from __future__ import annotations

import html
import itertools
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.check.claim import Claim
from surefoot.check.guess import variants
from surefoot.check.mistakes import ADAM_MISTAKES, SGD_MISTAKES
from surefoot.check.probes import PROBES, Answers, ask, moves
from surefoot.check.verdict import Patient
from surefoot.check.wording import number
from surefoot.check.words import Words
from surefoot.errors import InputError
from surefoot.rules import DECAYS, RULES, Rule, get

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Identification", "Reading", "identify", "identify_patient"]


_DRAWN = ("torch", "keras", "ema")  # always in the picture, to compare with


@dataclass(frozen=True)
class Reading:
    """One thing read off: what, its value, and from which numbers."""

    what: str
    value: str
    because: str


@dataclass(frozen=True)
class Identification:
    """What an optimizer was found to be; print it.

    Args:
        subject: what the user named.
        options: the options it was made with.
        linear: whether twice the gradient moves w twice as far.
        readings: what was read off.
        fits: the rules that reproduce every recording.
        ruled_out: rule → the first number that rules it out.
        mistake: if no rule fits, the known mistake that does.
        impulse: −Δw / lr from one unit gradient at step 2, from that step on.
    """

    subject: str
    options: Mapping[str, Any]
    linear: bool
    readings: tuple[Reading, ...]
    fits: tuple[Rule, ...]
    ruled_out: Mapping[str, str] = field(repr=False)
    mistake: str | None = None
    impulse: tuple[float, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The rule that fits, the best known first."""
        return self.fits[0] if self.fits else None

    def __getitem__(self, what: str) -> str:
        """Return the value of a reading, by its name."""
        return next(r.value for r in self.readings if r.what == what)

    def __str__(self) -> str:
        fill = textwrap.TextWrapper(width=100, initial_indent="  ", subsequent_indent="      ").fill
        options = ", ".join(f"{k}={_show(v)}" for k, v in self.options.items())
        name = f"{self.subject}({options})"
        if self.rule is not None:
            lines = [f"{name} follows {self.rule.title} ({self.rule.name})."]
        elif self.mistake:
            lines = [f"{name} follows no known rule, but SGD with a known mistake: {self.mistake}."]
        else:
            lines = [f"{name} follows no rule that is known here."]
        width = max((len(r.what) for r in self.readings), default=0)
        value = max((len(r.value) for r in self.readings), default=0)
        lines += [
            "",
            *(f"  {r.what:<{width}}  {r.value:<{value}}  {r.because}".rstrip() for r in self.readings),
        ]
        if len(self.fits) > 1:
            lines += ["", "The same here: " + ", ".join(r.name for r in self.fits[1:]) + "."]
        if self.ruled_out:
            lines += [
                "",
                "Ruled out:",
                *(fill(f"{', '.join(names)}: {why}") for why, names in self._reasons()),
            ]
        return "\n".join(lines)

    def _reasons(self) -> list[tuple[str, list[str]]]:
        """What rules rules out, each reason with all the rules that it rules out."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.ruled_out.items():
            reasons.setdefault(why, []).append(name)
        return list(reasons.items())

    def _repr_html_(self) -> str:
        head, *_ = str(self).splitlines()
        rows = "".join(
            f"<tr><td>{html.escape(r.what)}</td><td><b>{html.escape(r.value)}</b></td><td>{html.escape(r.because)}</td></tr>"
            for r in self.readings
        )
        out = "".join(f"<li>{', '.join(names)}: {html.escape(why)}</li>" for why, names in self._reasons())
        return f"<p><b>{html.escape(head)}</b></p><table>{rows}</table><p>Ruled out:</p><ul>{out}</ul>"

    def plot(self) -> Figure:
        """Draw how one unit gradient moves w, step by step, beside what known rules would make of it."""
        from surefoot.plot.impulse import impulses

        seen = list(self.impulse)
        known = {x.name for rule in _DRAWN for x in get(rule).hypers}
        given = {k: v for k, v in self.options.items() if k in known and not isinstance(v, str)}
        drawn: dict[str, tuple[Rule | str, Mapping[str, Any]]] = {}
        for rule in dict.fromkeys((*self.fits[:1], *map(get, _DRAWN))):
            hears = {x.name for x in rule.hypers} - {"weight_decay"}
            drawn[rule.name] = rule, {k: v for k, v in given.items() if k in hears}
        return impulses(drawn, steps=len(seen), after=1, measured={self.subject: seen})

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, for JSON."""
        return {
            "subject": self.subject,
            "options": {k: _show(v) for k, v in self.options.items()},
            "rule": self.rule.name if self.rule else None,
            "fits": [r.name for r in self.fits],
            "mistake": self.mistake,
            "linear": self.linear,
            "readings": {r.what: {"value": r.value, "because": r.because} for r in self.readings},
            "ruled_out": dict(self.ruled_out),
            "impulse": list(self.impulse),
        }


def identify(
    optimizer: str | Callable[..., Any],
    *,
    options: Mapping[str, Any] | None = None,
    sandbox: bool | None = None,
) -> Identification:
    """Find out which rule a torch optimizer follows, with which hyperparameters.

    Δwₜ = −γ·(response to each earlier gradient), for a linear rule

    Args:
        optimizer: the class, or `"file.py:Class"`, or `"module:Class"`.
        options: constructor options, e.g. `{"momentum": 0.9}`; lr is 1/4 unless given.
        sandbox: run it in a process of its own; by default for files and modules, not for classes.

    Returns:
        Identification: prints as a page; `.rule`, `.readings`, `.ruled_out`.

    Raises:
        InputError: it cannot be made, or it raises when it is stepped.

    Example:
        >>> import torch
        >>> found = identify(torch.optim.SGD, options={"momentum": 0.9, "nesterov": True})
        >>> found.rule.name, found["momentum"], found["Nesterov"]
        ('torch', '0.9', 'yes')
    """
    from surefoot.check.load import load
    from surefoot.check.patient import Here
    from surefoot.check.sandbox import Sandbox, available

    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", "optimizer")
    if isinstance(optimizer, str) and sandbox is not False and available():
        there = Sandbox(optimizer, options)
        try:
            return identify_patient(there, name)
        finally:
            there.close()
    return identify_patient(Here(load(optimizer), options), name)


def identify_patient(patient: Patient, subject: str) -> Identification:
    """Find out which rule the optimizer of a Patient follows; see `identify`."""
    from surefoot.check.verdict import Died, Raised

    signature = patient.signature
    if signature.needs_closure:
        raise InputError(
            f"{signature.name}.step() needs a closure, so it cannot be driven with chosen gradients."
        )
    words = Words.of(signature, patient.given)
    lr = Fraction(repr(patient.given.get(words.option("lr") or "lr", 0.25)))
    try:
        answers = ask(patient, words, lr)
    except (Raised, Died) as error:
        raise InputError(f"{signature.name} could not be driven: {error}") from error
    linear = _linear(answers.moves)
    readings = tuple(_readings(answers, float(lr), words)) if linear else tuple(_nonlinear(answers))
    fits, ruled_out = _hold(answers, words)
    mistake = None if fits else _mistake(answers, words)
    response = tuple(-m / float(lr) for m in answers.moves["late impulse"][1:])
    return Identification(
        subject, _lr_first(patient.given), linear, readings, fits, ruled_out, mistake, response
    )


def _linear(moves: Mapping[str, tuple[float, ...]]) -> bool:
    once, twice = moves["impulse"], moves["double"]
    return any(once) and all(_near(b, 2 * a) for a, b in zip(once, twice, strict=True))


def _readings(answers: Answers, lr: float, words: Words) -> Iterator[Reading]:
    """Read the hyperparameters off a linear rule."""
    first = [-m for m in answers.moves["impulse"]]
    late = [-m for m in answers.moves["late impulse"][1:]]
    mu = late[2] / late[1] if late[1] else 0.0
    geometric = all(_near(b, mu * a) for a, b in itertools.pairwise(late[1:]))
    nesterov = bool(mu) and not _near(late[1], mu * late[0]) and _near(late[1] * (1 + mu), mu**2 * late[0])
    ahead = 1 + mu if nesterov else 1.0
    gain, start = late[0] / ahead / lr, first[0] / ahead / lr
    yield Reading("first move", number(-first[0]), "for a gradient of 1 at step 1, from w = 0")
    if not geometric:
        yield Reading("momentum", "not constant", f"later moves: {', '.join(number(-m) for m in late[1:5])}")
    elif mu:
        yield Reading("momentum", number(mu), f"each later move is {number(mu)} of the one before")
    else:
        hint = "; try --option momentum=0.9" if words.option("momentum") else ""
        yield Reading("momentum", "0", f"a gradient moves w once, and never again{hint}")
    plain = not mu or _near(late[1], mu * late[0])
    if mu and geometric:
        because = f"a gradient of 1 at step 2 moves w by {number(-late[0])}, then {number(-late[1])}"
        yield Reading("Nesterov", "yes" if nesterov else "no" if plain else "in no known way", because)
    if geometric and (plain or nesterov):
        yield from _gains(gain, start, mu)
    if mu and "changed lr" in answers.moves:
        yield _where_lr(answers)
    if "decay" in answers.moves:
        yield _where_decay(answers, lr, mu)
    shifted = answers.moves["moved"]
    same = all(_near(a, b) for a, b in zip(shifted, answers.moves["impulse"], strict=True))
    told = "the moves after it are the same" if same else f"then w moves by {number(shifted[2])} more"
    yield Reading("w moved from outside", "no matter" if same else "changes later moves", told)


def _gains(gain: float, start: float, mu: float) -> Iterator[Reading]:
    """How much of a gradient enters, at first and later."""
    if _near(gain, 1.0) and _near(start, 1.0):
        yield Reading("dampening", "0", "each gradient counts with the whole learning rate")
    elif mu and _near(start, 1.0):
        yield Reading(
            "dampening", number(1 - gain), f"later gradients count {number(gain)}, the first counts whole"
        )
        yield Reading("buffer starts as", "the first gradient", "which is not dampened")
    elif mu and _near(gain, 1 - mu) and _near(start, gain):
        yield Reading("average", "yes", f"gradients count 1 − momentum = {number(gain)}, from the first on")
        yield Reading("buffer starts as", "0", "the first gradient counts no more than later ones")
    elif mu and _near(start, gain):
        yield Reading("dampening", number(1 - gain), f"gradients count {number(gain)}, from the first on")
        yield Reading("buffer starts as", "0", "the first gradient counts no more than later ones")
    else:
        yield Reading("gain", number(gain), f"of the learning rate; {number(start)} for the first gradient")


def _where_lr(answers: Answers) -> Reading:
    before, after = answers.moves["impulse"][2], answers.moves["changed lr"][2]
    ratio = after / before if before else math.nan
    now = "stays as it was" if _near(ratio, 1.0) else f"becomes {number(ratio)} of what it was"
    told = f"with half the lr, the next move {now}"
    if _near(ratio, 0.5):
        return Reading("learning rate", "outside the buffer", told)
    return Reading("learning rate", "inside the buffer" if _near(ratio, 1.0) else "elsewhere", told)


def _where_decay(answers: Answers, lr: float, mu: float) -> Reading:
    """Where weight decay enters, by what it does to w = 1 without gradients, and to a step from w = 0."""
    option = next(iter(answers.traces["decay"].script.groups[0].options.values()))
    size, moves = float(option), answers.moves["decay"]
    if not any(moves):
        return Reading("weight decay", "none", f"with {number(size)}, w = 1 stays where it is")
    told = f"with {number(size)}, w = 1 moves by {number(moves[0])}, then {number(moves[1])}"
    if _near(moves[0], -size) and not _near(lr, 1.0):
        return Reading("weight decay", DECAYS["no_lr"][4:], told)
    shrinks = _near(moves[1], moves[0] * (1 + moves[0]))
    if not shrinks:
        return Reading("weight decay", DECAYS["l2"][4:], told)
    step = answers.moves["decay and gradient"][0] / (answers.moves["impulse"][0] or math.nan)
    if _near(step, 1 - lr * size):
        return Reading("weight decay", DECAYS["after_step"][4:], f"{told}; a step from 0 shrinks too")
    if mu:
        return Reading("weight decay", "decoupled: w shrinks by γλ before the step", told)
    return Reading("weight decay", "γλw per step", f"{told}; without momentum its place cannot be seen")


def _nonlinear(answers: Answers) -> Iterator[Reading]:
    """What can be said of a rule that is not linear."""
    once, twice = answers.moves["impulse"], answers.moves["double"]
    yield Reading("first move", number(once[0]), "for a gradient of 1 at step 1, from w = 0")
    ratio = twice[0] / once[0] if once[0] else math.nan
    times = (
        "as far"
        if _near(ratio, 1.0)
        else "hardly farther"
        if abs(ratio - 1) < 0.01
        else f"{number(ratio)} times as far"
    )
    told = f"twice the gradient moves w {times}"
    scale = (
        "no matter"
        if _near(ratio, 1.0)
        else "hardly matters"
        if abs(ratio - 1) < 0.01
        else "matters, not linearly"
    )
    yield Reading("size of the gradient", scale, told)


def _hold(answers: Answers, words: Words) -> tuple[tuple[Rule, ...], dict[str, str]]:
    """Hold every known rule against the recordings: those that fit, and what rules out the others."""
    fits: list[Rule] = []
    out: dict[str, str] = {}
    linear = _linear(answers.moves)
    for rule in RULES.values():
        if _linear(_moves_of(Claim(rule, words), answers)) != linear:
            twice = "not " if linear else ""
            out[rule.name] = f"twice the gradient would {twice}move w twice as far"
            continue
        nearest: tuple[int, str] | None = None
        for variant in variants(rule, words):
            why = _first_mismatch(Claim(variant, words), answers)
            if why is None:
                fits.append(variant)
                nearest = None
                break
            if nearest is None or why[0] > nearest[0]:
                nearest = why
        if nearest is not None:
            out[rule.name] = nearest[1]
    fits.sort(key=lambda r: (r.mistake is not None, "(" in r.name))
    formulas = [r.formula for r in fits]  # Adam with its decay elsewhere is AdamW: say it once
    return tuple(r for i, r in enumerate(fits) if r.formula not in formulas[:i]), out


def _moves_of(claim: Claim, answers: Answers) -> dict[str, tuple[float, ...]]:
    """How a rule would have moved w in the probes that show whether it is linear."""
    return {name: moves(claim.expected(answers.traces[name].script)) for name in ("impulse", "double")}


def _first_mismatch(claim: Claim, answers: Answers) -> tuple[int, str] | None:
    """How many probes a rule passes before one rules it out, and by which number."""
    for i, (name, trace) in enumerate(answers.traces.items()):
        try:
            found = claim.mismatch(trace)
        except InputError as error:
            return i, str(error)
        if found is not None:
            would = f"w would be {number(found.expected)} after step {found.step}, but is {number(found.got)}"
            return i, f"with {PROBES[name]}, {would}"
    return None


def _mistake(answers: Answers, words: Words) -> str | None:
    for rule in (*SGD_MISTAKES, *ADAM_MISTAKES):
        if all(Claim(rule, words).holds(t) for t in answers.traces.values()):
            return str(rule.mistake)
    return None


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _lr_first(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(options.items(), key=lambda pair: pair[0] != "lr"))


def _show(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return number(value)
