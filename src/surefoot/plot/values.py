"""The value of f over the steps, of one run or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from surefoot.errors import InputError
from surefoot.plot.style import Picture, legend, look, panels, styled
from surefoot.plot.traces import as_float
from surefoot.trace.values import Number

__all__ = ["values"]

_FALLS = 100  # times, to a positive value, from which on each decimal digit is as high


@styled
def values(runs: Mapping[str, Sequence[Number]]) -> Picture:
    """Draw f before the first step and after each.

    The scale is logarithmic where f stays positive and varies by more than a hundred times.

    Args:
        runs: label → f at the start and after each step.

    Returns:
        The figure.

    Raises:
        InputError: no run, or one without a step.

    Example:
        >>> [values({"torch": run}).axes[0].get_yscale() for run in ([4, 2, 1], [400, 20, 1])]
        ['linear', 'log']
    """
    if not runs:
        raise InputError("There is no run to draw; give at least one.")
    lines = {label: [as_float(x) for x in run] for label, run in runs.items()}
    for label, line in lines.items():
        if len(line) < 2:
            raise InputError(f"The run {label!r} has no steps to draw.")
    figure, (panel,) = panels(height=3.4)
    for i, (label, line) in enumerate(lines.items()):
        every = max(1, len(line) // 30)
        panel.plot(range(len(line)), line, label=label, **look(i, marker=True), markevery=every)
    shown = [x for line in lines.values() for x in line if math.isfinite(x)]
    if shown and min(shown) > 0 and max(shown) > _FALLS * min(shown):
        panel.set_yscale("log")
    panel.set(xlabel="step", ylabel="f")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if len(lines) > 1:
        legend(figure, panel.get_legend_handles_labels()[0])
    return figure
