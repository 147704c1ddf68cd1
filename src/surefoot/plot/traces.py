"""Gradient, buffer and step over time, from one Trace or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from surefoot.errors import InputError, unknown
from surefoot.plot.style import INK, Picture, legend, look, panels, styled
from surefoot.trace.trace import Trace
from surefoot.trace.values import elements, shape

__all__ = ["as_float", "traces"]


@styled
def traces(
    runs: Mapping[str, Trace], name: str | None = None, element: int = 0, slot: str | None = None
) -> Picture:
    """Draw what one element was given, what its rule kept of it, and how far it moved, step by step.

    Args:
        runs: label → trace.
        name: the parameter; by default the first.
        element: which of its elements, counted row by row from 0.
        slot: the slot to draw; by default the first one of each trace that holds a value per element.

    Returns:
        The figure: panels for the gradient, the buffer (if there is one) and the step.

    Raises:
        InputError: no trace, no step, or no such parameter, element or slot.

    Example:
        >>> from surefoot.trace import Script, replay
        >>> script = Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 0}, {"w": 0}], lr=0.1, momentum=0.9)
        >>> [panel.get_ylabel() for panel in traces({"torch": replay(script, "torch")}).axes]
        ['gradient', 'momentum buffer', 'step Δw']
    """
    if not runs:
        raise InputError("There is no trace to plot; give at least one.")
    first = next(iter(runs.values()))
    name = next(iter(first.start)) if name is None else name
    series = [_series(trace, name, element, slot) for trace in runs.values()]
    kept = {
        f"previous {name}" if s.slot == "previous" else s.slot.replace("_", " ") for s in series if s.slot
    }
    rows = {"gradient": [s.gradient for s in series]}
    if kept:
        rows[kept.pop() if len(kept) == 1 else "buffer"] = [s.buffer for s in series]
    rows[f"step Δ{name}"] = [s.moved for s in series]
    figure, shown = panels(len(rows), 1, width=6.0, height=0.8 + 1.45 * len(rows), sharex=True)
    for panel, (what, lines) in zip(shown, rows.items(), strict=True):
        panel.axhline(0, color=INK, linewidth=0.6)
        panel.set_ylabel(what)
        for i, (label, line) in enumerate(zip(runs, lines, strict=True)):
            numbers = range(1, len(line) + 1)
            panel.plot(numbers, line, label=label, **look(i, marker=True), markevery=max(1, len(line) // 30))
    shown[-1].set_xlabel("step")
    shown[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    longest = max(len(s.moved) for s in series)
    shown[-1].set_xlim(1 - 0.02 * longest, longest * 1.02)
    if len(runs) > 1:
        legend(figure, shown[-1].get_legend_handles_labels()[0])
    size = math.prod(shape(first.start[name]))
    shown[0].set_title(f"parameter {name}" + (f"[{element}]" if size > 1 else ""), loc="left")
    return figure


def as_float(x: Any) -> float:
    """Return the nearest float; infinity beyond 1e100, where no picture reaches."""
    if abs(x) > 1e100:
        return math.inf if x > 0 else -math.inf
    return float(x)


@dataclass(frozen=True)
class _Series:
    """One element over the steps; NaN where there was nothing."""

    gradient: Sequence[float]
    slot: str | None
    buffer: Sequence[float]
    moved: Sequence[float]


def _series(trace: Trace, name: str, element: int, slot: str | None) -> _Series:
    if not trace.steps:
        raise InputError(f"The trace {trace.label!r} has no steps to plot.")
    if name not in trace.start:
        raise unknown("parameter", name, trace.start)
    size = math.prod(shape(trace.start[name]))
    if not 0 <= element < size:
        raise InputError(f"element is {element}, but {name!r} has the elements 0 to {size - 1}.")

    def number(value: object) -> float:
        return math.nan if value is None else as_float(list(elements(value))[element])

    slots = [s for m in trace.steps for s, v in m.state.get(name, {}).items() if math.prod(shape(v)) == size]
    if slot is not None and slot not in slots:
        raise unknown("slot", slot, sorted(set(slots)))
    chosen = slot or next((s for s in slots if s != "step"), None)  # which only counts
    return _Series(
        [number(m.gradients.get(name)) for m in trace.steps],
        chosen,
        [number(m.state.get(name, {}).get(chosen or "")) for m in trace.steps],
        [number(m.w[name]) - number(m.before[name]) for m in trace.steps],
    )
