"""Which rule an optimizer follows, read off from what it does with chosen gradients.

Where the rule is linear, one unit gradient shows all of it: how far w moves at once, by which factor each
later move shrinks, and what changes when the learning rate or the parameter does. Then every known rule is
held against the same recordings.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.check.identify.fits import fit
from surefoot.check.identify.probes import ask, matters_in_matrices
from surefoot.check.identify.readings import (
    LARGER,
    SPARES,
    Reading,
    is_linear,
    nonlinear_readings,
    readings,
    still_readings,
)
from surefoot.check.protocol import Patient
from surefoot.check.renamed import understood
from surefoot.check.wording import number
from surefoot.check.words import Words
from surefoot.errors import InputError, unknown
from surefoot.rules import Rule, get
from surefoot.trace.values import exact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Identification", "Reading", "identify", "identify_patient"]

_DRAWN = ("torch", "keras", "ema")  # always in the picture, to compare with

_LARGEST = 10**6  # an lr; beyond it decay alone may leave the floats within the probes


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
        mistake: if no rule fits, the known mistake that does, and of which rule.
        unused: options that it accepts and never uses; the rule, or the mistake, is what fits without them.
        rough: the rule fits within float32 rounding, though w is float64.
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
    unused: tuple[str, ...] = ()
    rough: bool = False

    @property
    def rule(self) -> Rule | None:
        """The rule that fits, the best known first."""
        return self.fits[0] if self.fits else None

    def __getitem__(self, what: str) -> str:
        """Return the value of a reading, by its name.

        Raises:
            InputError: nothing of that name was read off.
        """
        for reading in self.readings:
            if reading.what == what:
                return reading.value
        raise unknown("reading", what, [r.what for r in self.readings])

    def __str__(self) -> str:
        indented = textwrap.TextWrapper(width=100, initial_indent="  ", subsequent_indent="      ").fill
        options = ", ".join(f"{k}={_show(v)}" for k, v in self.options.items())
        name = f"{self.subject}({options})"
        lines = []
        if self.unused:
            change = "changes" if len(self.unused) == 1 else "change"
            lines = [f"It accepts {' and '.join(self.unused)}, which {change} nothing."]
        if self.rule is not None:
            near = ", within float32 rounding" if self.rough else ""
            lines.insert(0, f"{name} follows {self.rule.title} ({self.rule.name}){near}.")
        elif self.mistake:
            lines.insert(0, f"{name} follows no known rule, but {self.mistake}.")
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
                *(indented(f"{', '.join(names)}: {why}") for why, names in self._reasons()),
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
            "unused": list(self.unused),
            "rough": self.rough,
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
    from surefoot.check.sandbox import Sandbox
    from surefoot.check.server import available

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
    signature = patient.signature
    if signature.needs_closure:
        raise InputError(
            f"{signature.name}.step() needs a closure, so it cannot be driven with chosen gradients."
        )
    words = Words.of(signature, patient.given)
    if words.ambiguous:
        return _identified(patient, subject, understood(patient, words, None) or words)
    found = _identified(patient, subject, words)
    if not found.fits and (better := understood(patient, words, None)) is not None:
        return _identified(patient, subject, better)
    return found


def _identified(patient: Patient, subject: str, words: Words) -> Identification:
    """What the optimizer shows of itself, with its options in these words."""
    from surefoot.check.protocol import Died, Raised

    signature = patient.signature
    option = words.option("lr") or "lr"
    value = patient.given.get(option, words.values.get(option, 0.25))
    lr = exact(value, option)
    if not isinstance(lr, Fraction) or lr <= 0:
        raise InputError(f"{option} is {_show(value)}, but must be positive for steps to be read.")
    if lr > _LARGEST:
        raise InputError(f"{option} is {_show(value)}, too large for steps to be read; use 1 or less.")
    try:
        answers = ask(patient, words, lr)
    except (Raised, Died) as error:
        given = ", ".join(f"{k}={v!r}" for k, v in patient.given.items() if k != option)
        options = f" with {given}" if given else ""
        raise InputError(f"{signature.name} could not be driven{options}: {error}") from error
    linear = is_linear(answers.moves)
    if not any(answers.moves["impulse"]):
        seen = still_readings()
    elif linear:
        seen = tuple(readings(answers, float(lr), words))
    else:
        seen = tuple(nonlinear_readings(answers))
    if answers.spares:
        seen = (*seen, SPARES)
    decay = words.option("weight_decay")
    if decay in words.held and (held := words.values.get(decay)):
        told = f"{_show(held)}, by the function that makes it: it is in every probe, and hides the rest"
        seen = (*seen[:1], Reading("weight decay", "always on", told))
    found = fit(answers, words)
    if decay in found.unused and matters_in_matrices(patient, decay, answers.decay):
        found = replace(found, unused=tuple(o for o in found.unused if o != decay))
        seen = (*(r for r in seen if r.what != "weight decay"), LARGER)
    return Identification(
        subject=subject,
        options=_lr_first(signature.call(patient.given)),
        linear=linear,
        readings=seen,
        fits=found.rules,
        ruled_out=found.ruled_out,
        mistake=found.mistake,
        impulse=tuple(-m / float(lr) for m in answers.moves["late impulse"][1:]),
        unused=found.unused,
        rough=found.rough,
    )


def _lr_first(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(options.items(), key=lambda pair: pair[0] != "lr"))


def _show(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return number(value)
