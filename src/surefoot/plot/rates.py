"""The rate of a method on a quadratic over (lr, momentum): where it is stable, where it is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.colors import BoundaryNorm

from surefoot.errors import InputError
from surefoot.plot.style import INK, Picture, panels, styled

__all__ = ["rates"]

LEVELS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)  # the better, the lighter


@styled
def rates(
    rate: Callable[[Any, Any], Any],
    *,
    largest_lr: float,
    best: tuple[float, float] | None = None,
    points: Mapping[str, tuple[float, float]] | None = None,
    title: str = "",
) -> Picture:
    """Draw the rate as a map over (lr, momentum), with the border of stability and the optimum.

    Args:
        rate: a function of two NumPy arrays, lr and momentum, to the factor of the error in one step; e.g.
            `Quadratic((1, 100)).rate`.
        largest_lr: the right end of the map.
        best: (lr, momentum) with the smallest rate, marked with a star.
        points: label → (lr, momentum), marked as well: the settings in question.
        title: above the map.

    Returns:
        The figure.

    Raises:
        InputError: largest_lr is not above 0.

    Example:
        >>> figure = rates(lambda lr, momentum: abs(1 - lr) + 0 * momentum, largest_lr=3)
        >>> figure.axes[0].get_xlabel()
        'lr'
    """
    import numpy as np

    if not largest_lr > 0:
        raise InputError(f"largest_lr is {largest_lr}; it must be above 0.")
    lr, momentum = np.meshgrid(np.linspace(0, largest_lr, 401), np.linspace(0, 1, 301))
    rho = np.asarray(rate(lr, momentum), dtype=float)
    figure, (panel,) = panels(width=5.8, height=4.0)
    panel.grid(False)
    panel.set(xlabel="lr", ylabel="momentum μ", xlim=(0, largest_lr), ylim=(0, 1), title=title)
    shades = panel.contourf(
        lr, momentum, np.minimum(rho, 1), levels=LEVELS, cmap="viridis_r", norm=BoundaryNorm(LEVELS, 256)
    )
    panel.contour(lr, momentum, rho, levels=LEVELS[1:-1], colors="white", linewidths=0.4, alpha=0.6)
    panel.contourf(lr, momentum, rho, levels=[1, np.inf], colors=["#efefef"])
    if rho[0, -1] > 1:
        panel.text(0.97, 0.04, "unstable", transform=panel.transAxes, ha="right", style="italic")
    panel.contour(lr, momentum, rho, levels=[1], colors=INK, linewidths=1.5)
    bar = figure.colorbar(shades, ax=panel, ticks=LEVELS, label="rate: the error's factor per step")
    bar.outline.set_visible(False)
    at: dict[tuple[float, float], list[str]] = {}
    for label, place in (points or {}).items():
        # two in one place stand side by side
        at.setdefault((float(place[0]), float(place[1])), []).append(label)
    for place, labels in at.items():
        _mark(panel, ", ".join(labels), place, marker="X", size=9)
    if best is not None:
        least = float(rate(np.array(best[0]), np.array(best[1])))
        least = least if least > 1e-9 else 0.0  # what rounding leaves of nothing
        _mark(panel, f"best: rate {least:.3g}\nlr {best[0]:.3g}, μ {best[1]:.3g}", best, marker="*", size=15)
    return figure


def _mark(panel: Any, label: str, place: tuple[float, float], *, marker: str, size: float) -> None:
    """Mark a place, its label on the side that has more room."""
    panel.plot(
        *place, marker=marker, markersize=size, color="white", markeredgecolor=INK, zorder=5, clip_on=False
    )
    left = place[0] > 0.72 * panel.get_xlim()[1]
    low = place[1] > 0.15 and (place[1] > 0.85 or not left)  # right and below of an optimum the map is empty
    panel.annotate(
        label,
        place,
        xytext=(-10 if left else 10, -8 if low else 8),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if low else "bottom",
        fontsize=8.5,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        zorder=6,
    )
