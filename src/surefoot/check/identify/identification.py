"""What `identify` found an optimizer to be, as a value that reads as a page."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from surefoot.check.arithmetic.wording import number
from surefoot.check.identify.readings import Reading
from surefoot.errors import unknown
from surefoot.rules import Rule, get

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Identification", "show"]

_DRAWN = ("torch", "keras", "ema")  # always in the picture, to compare with


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

    def __repr__(self) -> str:
        return f"<Identification: {self._headline().removesuffix('.')}>"

    def _headline(self) -> str:
        name = f"{self.subject}({', '.join(f'{k}={show(v)}' for k, v in self.options.items())})"
        if self.rule is not None:
            near = ", within float32 rounding" if self.rough else ""
            return f"{name} follows {self.rule.title} ({self.rule.name}){near}."
        if self.mistake:
            return f"{name} follows no known rule, but {self.mistake}."
        return f"{name} follows none of the known rules."

    def _idle(self) -> list[str]:
        if not self.unused or (self.rule is None and not self.mistake):
            return []
        change = "has" if len(self.unused) == 1 else "have"
        return [f"It accepts {' and '.join(self.unused)}, which {change} no effect."]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The page in lines of at most so many characters, the table's apart where it is wider by itself."""
        indented = textwrap.TextWrapper(width=width, initial_indent="  ", subsequent_indent="      ").fill
        lines = [self._headline(), *self._idle(), ""]  # sentences, that may be searched for
        what = max((len(r.what) for r in self.readings), default=0)
        value = max((len(r.value) for r in self.readings), default=0)
        stacked = what + value + 6 > width - 30
        margin = " " * (6 if stacked else what + value + 6)
        for r in self.readings:
            row = f"  {r.what:<{what}}  {r.value:<{value}}  "
            why = textwrap.wrap(r.because, width - len(margin), break_on_hyphens=False)
            first = [row] if stacked or not why else [row + why.pop(0)]
            lines += [line.rstrip() for line in (*first, *(margin + line for line in why))]
        if self.fits[1:]:
            lines += ["", self._same()]
        if self.ruled_out:
            lines += [
                "",
                "Ruled out:",
                *(indented(f"{', '.join(names)}: {why}") for why, names in self._reasons()),
            ]
        return "\n".join(lines)

    def _same(self) -> str:
        return f"Also fits: {', '.join(r.name for r in self.fits[1:])}."

    def _reasons(self) -> list[tuple[str, list[str]]]:
        """What rules rules out, each reason with all the rules that it rules out."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.ruled_out.items():
            reasons.setdefault(why, []).append(name)
        return list(reasons.items())

    def _repr_html_(self) -> str:
        cell = '<td style="text-align: left">'  # a notebook aligns tables right
        rows = "".join(
            f"<tr>{cell}{html.escape(r.what)}</td>{cell}<b>{html.escape(r.value)}</b></td>"
            f"{cell}{html.escape(r.because)}</td></tr>"
            for r in self.readings
        )
        idle = "".join(f"<p>{html.escape(line)}</p>" for line in self._idle())
        same = f"<p>{html.escape(self._same())}</p>" if self.fits[1:] else ""
        out = "".join(f"<li>{', '.join(names)}: {html.escape(why)}</li>" for why, names in self._reasons())
        ruled_out = f"<p>Ruled out:</p><ul>{out}</ul>" if out else ""
        head = f"<p><b>{html.escape(self._headline())}</b></p>"
        return f"{head}{idle}<table>{rows}</table>{same}{ruled_out}"

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
            "options": {k: show(v) for k, v in self.options.items()},
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


def show(value: Any) -> str:
    """The value of an option, a number as one would write it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return number(value)
