"""The axis of losses: linear or logarithmic, and how its ticks are written."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, ScalarFormatter

__all__ = ["scale_losses"]

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scale_losses(panel: Axes, top: float = math.inf) -> None:
    """Use a logarithmic axis where losses span more than a factor of 20.

    With some below 0, those far beyond all others, as of a run that diverged, leave the panel.

    Args:
        panel: with the losses.
        top: larger ones leave the panel, if none is below 0.
    """
    lines = [[float(y) for y in np.asarray(line.get_ydata())] for line in panel.get_lines()]
    values = [y for line in lines for y in line]
    if above := max(values) > top and min(values) > 0:
        values = [y for y in values if y <= top]
    usual = float(np.median(np.abs(values)))
    if above or (min(values) > 0 and max(values) > 20 * min(values)):
        panel.set_yscale("log")
        decades = math.log10(max(values) / min(values))
        # over many decades, a few whole ones; LogLocator would give none at all
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,), numticks=8))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _power(y)))
        panel.yaxis.set_minor_formatter(NullFormatter())
        if above:
            panel.set_ylim(min(values) / 1.5, top)
    else:
        panel.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        far = 1000 * usual
        grown = any(max(map(abs, y[min(range(len(y)), key=lambda i: abs(y[i])) :])) > far for y in lines)
        if min(values) <= 0 < usual and grown:
            near = [y for y in values if abs(y) <= far]
            room = 0.05 * (max(near) - min(near))
            panel.set_ylim(min(near) - room, max(near) + room)


def _power(y: float) -> str:
    """A tick of a log scale: 0.02, 500, and 10⁶ or 2·10⁶ where zeros would have to be counted."""
    if 1e-3 <= y < 1e4:
        return f"{y:g}"
    mantissa, _, exponent = f"{y:.0e}".partition("e")
    power = "10" + str(int(exponent)).translate(_RAISED)
    return power if mantissa == "1" else f"{mantissa}·{power}"
