"""Claims judged: plain data against plain data, in the parent process."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED

__all__ = ["Finding", "judge"]


@dataclass(frozen=True)
class Finding:
    """What one question came to: an outcome, and what a Verdict says of it.

    Args:
        outcome: passed, failed, differs or not applicable.
        note: as in a Verdict; so are `expected`, `got` and `where`.
        expected: what was expected.
        got: what came instead.
        where: the place where they part, or the line that raised.
        claim: which of the probe's claims failed, if one did.
        values: what that claim expected, and what came, as plain data.
        raised: the exception, if there was one: its kind, text, line, and during what.
        died: whether its process ended.
    """

    outcome: str
    note: str = ""
    expected: str = ""
    got: str = ""
    where: str = ""
    claim: int | None = None
    values: tuple[Any, Any] = (None, None)
    raised: Mapping[str, str] | None = None
    died: bool = False


def judge(claims: Any) -> Finding:
    """Return what a probe's claims amount to.

    Example:
        >>> judge([("w after a step", [1.0, 2.0], [1.0, 2.5])]).where
        'element [1]: expected 2, got 2.5'
    """
    if isinstance(claims, str):
        return Finding(NOT_APPLICABLE, claims)
    if isinstance(claims, dict):
        return Finding(DIFFERS, claims["differs"])
    for number, (what, expected, got, *near) in enumerate(claims):
        parting = next(_partings(expected, got, near[0] if near else 0.0, ""), None)
        if parting is not None:
            place, e, g = parting
            digits = next((d for d in (6, 9) if _show(e, d) != _show(g, d)), 17)  # as many as show it
            where = f"element {place}: expected {_show(e, digits)}, got {_show(g, digits)}" if place else ""
            return Finding(
                FAILED,
                note=what,
                expected=_show(expected, digits),
                got=_show(got, digits),
                where=where,
                claim=number,
                values=(expected, got),
            )
    return Finding(PASSED)


def _partings(e: Any, g: Any, near: float, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the places where two nested values part."""
    if isinstance(e, list) and isinstance(g, list) and len(e) == len(g):
        for i, (x, y) in enumerate(zip(e, g, strict=True)):
            yield from _partings(x, y, near, f"{place}[{i}]")
    elif isinstance(e, dict) and isinstance(g, dict) and e.keys() == g.keys():
        for k in e:
            yield from _partings(e[k], g[k], near, f"{place}[{k!r}]")
    elif not _close(e, g, near):
        yield place, e, g


def _close(e: Any, g: Any, near: float) -> bool:
    if isinstance(e, (int, float)) and isinstance(g, (int, float)):
        return e == g or (math.isnan(e) and math.isnan(g)) or abs(g - e) <= near * (1 + abs(e))
    return bool(e == g)


def _show(value: Any, digits: int = 6) -> str:
    """Write a value in few characters: numbers as short as they are exact to so many digits."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return textwrap.shorten(f"[{', '.join(value)}]", 300, placeholder=" …]")
    if isinstance(value, list):
        shown = ", ".join(_show(v, digits) for v in value[:6])
        text = f"[{shown}{', …' if len(value) > 6 else ''}]"
        return text if len(text) < 160 else f"{text[:140].rpartition(', ')[0]}, …"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_show(v, digits)}" for k, v in value.items()) + "}"
    return str(value)
