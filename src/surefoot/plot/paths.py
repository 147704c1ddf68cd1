"""The path of w over the contours of f, for two variables; several rules or settings over each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from matplotlib.patheffects import withStroke

from surefoot.errors import InputError
from surefoot.plot.style import INK, QUIET, Picture, legend, look, panels, styled
from surefoot.plot.traces import as_float
from surefoot.trace.trace import Trace
from surefoot.trace.values import Value, elements, shape

__all__ = ["paths"]

Point = tuple[float, float]

# paths further from square than this are drawn out of scale, or what goes on across them would not be seen
_NARROW = 1 / 6


class Surface(Protocol):
    """A function of two numbers that can be evaluated on a whole grid."""

    def on_grid(self, point: Mapping[str, Value]) -> Any:
        """f, each number of the point being an array of them."""


@styled
def paths(runs: Mapping[str, Trace]) -> Picture:
    """Draw the paths of several traces over the contours of the function that they descend, the first's.

    Both axes have the same scale, unless the paths are more than six times as long as wide. A path that
    leaves the picture is cut where it does, and its label says so.

    Args:
        runs: label → trace, of two numbers in all: two scalars, or one vector of two.

    Returns:
        The figure.

    Raises:
        InputError: no trace, not of two numbers, or one that starts further out than pictures reach.

    Example:
        >>> from surefoot.trace import Script, replay
        >>> script = Script.of({"x": 1, "y": 1}, gradients=[{"x": 1, "y": 0}] * 3, lr=0.1)
        >>> paths({"torch": replay(script, "torch")}).axes[0].get_ylabel()
        'y'
    """
    if not runs:
        raise InputError("There is no trace to plot; give at least one.")
    first = next(iter(runs.values()))
    names = _coordinates(first)
    walks = {label: _walk(trace) for label, trace in runs.items()}
    for label, walk in walks.items():
        if not all(map(math.isfinite, walk[0])):
            raise InputError(f"The path of {label!r} starts beyond 10^100, too far to plot.")
    box, equal = _box(walks.values())
    width, height = _size(box) if equal else (5.6, 4.4)
    figure, (panel,) = panels(width=width, height=height)
    panel.grid(False)
    if equal:  # circles look like circles, and gradients stand on the contours
        panel.set_aspect("equal")
    panel.set(xlabel=names[0], ylabel=names[1], xlim=box[0], ylim=box[1])
    f: Any = first.script.function  # whatever can be evaluated on a grid, too
    if f is not None:
        _contours(panel, f, first.start, box)
    for i, (label, walk) in enumerate(walks.items()):
        _draw(panel, walk, label, box, look(i, marker=True) | {"zorder": 3 + i})
    for start in {walk[0] for walk in walks.values()}:
        panel.plot(*start, marker="o", markersize=7, color="white", markeredgecolor=INK, zorder=99)
        outline = withStroke(linewidth=2.5, foreground="white")
        panel.annotate(
            "start", start, (-7, 7), textcoords="offset points", ha="right", path_effects=[outline]
        )
    panel.plot([], [], linestyle="", marker="*", markersize=9, color=QUIET, label="last step")
    legend(figure, panel.get_legend_handles_labels()[0])
    return figure


def _draw(
    panel: Any, walk: Sequence[Point], label: str, box: tuple[Point, Point], style: dict[str, Any]
) -> None:
    """Draw one path until it leaves the picture, if it does; a star where it ends."""
    outside = next((t for t, point in enumerate(walk) if not _within(point, box)), None)
    if outside is not None:
        walk, label = walk[: outside + 1], f"{label} (leaves at step {outside})"
    x, y = zip(*walk, strict=True)
    marked = _spread(walk, box)
    panel.plot(x, y, label=label, markevery=marked, **style)
    between = [p for t, p in enumerate(walk) if t not in marked]  # so that each step can be counted
    if between:
        small = {"marker": ".", "markersize": 2.5, "linestyle": "", "markeredgewidth": 0}
        panel.plot(*zip(*between, strict=True), **style | small)
    if outside is None:
        panel.plot(*walk[-1], **style | {"marker": "*", "markersize": 11, "zorder": 98})


def _coordinates(trace: Trace) -> list[str]:
    """Return the names of the two numbers of a trace."""
    names = []
    for name, value in trace.start.items():
        size = math.prod(shape(value))
        names += [f"{name}[{i}]" for i in range(size)] if isinstance(value, tuple) else [name]
    if len(names) != 2:
        here = ", ".join(names[:6]) + ", …" * (len(names) > 6)
        count = "is 1" if len(names) == 1 else f"are {len(names)}"
        raise InputError(f"A path is drawn of two numbers, but there {count}: {here}.")
    return names


def _walk(trace: Trace) -> list[Point]:
    _coordinates(trace)
    moments = [trace.start, *(moment.w for moment in trace.steps)]
    points = ([as_float(x) for value in w.values() for x in elements(value)] for w in moments)
    return [(x, y) for x, y in points]


def _within(point: Point, box: tuple[Point, Point]) -> bool:
    return all(low <= x <= high for x, (low, high) in zip(point, box, strict=True))


def _size(box: tuple[Point, Point]) -> tuple[float, float]:
    """Return width and height, in inches, of a picture whose panel has the shape of the box."""
    (left, right), (bottom, top) = box
    tall = (top - bottom) / (right - left)
    panel = (4.9, 4.9 * tall) if tall < 0.7 else (3.5 / tall, 3.5)
    return max(3.6, panel[0] + 0.7), panel[1] + 0.9


def _box(walks: Any) -> tuple[tuple[Point, Point], bool]:
    """Return the limits of the picture, and whether its axes can have one scale.

    All of the paths are in it with a margin, but not where one runs away to.
    """
    walks = list(walks)
    start = walks[0][0]
    settled = [w for w in walks if math.dist(w[-1], start) < 1e3 * (1 + math.hypot(*start)) and _calms(w)]
    seen = [p for w in settled or [w[:6] for w in walks] for p in w if all(map(math.isfinite, p))]
    limits, extents = [], []
    for axis in (0, 1):
        low, high = min(p[axis] for p in seen), max(p[axis] for p in seen)
        extents.append(high - low)
        margin = 0.12 * (high - low) or 1.0
        margin = max(margin, 64 * math.ulp(max(-low, high)))  # far out, floats lie further apart than 1
        limits.append((low - margin, high + margin))
    equal = min(extents) >= _NARROW * max(extents) or not min(extents)
    widest = max(high - low for low, high in limits)
    half = widest * (0.2 if equal else 0.125)  # no needle: a straight path gets some room around it
    made = [
        (low, high) if high - low > 2 * half else ((low + high) / 2 - half, (low + high) / 2 + half)
        for low, high in limits
    ]
    return (made[0], made[1]), equal


def _calms(walk: Sequence[Point]) -> bool:
    """Whether a path ends at most four times as far from its start as it is half-way.

    Twice as far is a steady walk, four times one that gathers momentum all the way; what runs away does more.
    """
    if not all(map(math.isfinite, (x for p in walk for x in p))):
        return False
    half = max(1, len(walk) // 2)
    center = walk[0]
    first = max(math.dist(p, center) for p in walk[: half + 1])
    return max(math.dist(p, center) for p in walk[half:]) <= 4 * first


def _spread(walk: Sequence[Point], box: tuple[Point, Point]) -> list[int]:
    """Return the steps that get a marker: each, but where they would lie on each other."""
    (left, right), (bottom, top) = box
    kept: list[int] = []
    for t, (x, y) in enumerate(walk):
        if not kept or math.hypot(
            (x - walk[kept[-1]][0]) / (right - left), (y - walk[kept[-1]][1]) / (top - bottom)
        ) > 0.02:  # fmt: skip
            kept.append(t)
    return kept


def _contours(panel: Any, f: Surface, start: Mapping[str, Value], box: tuple[Point, Point]) -> None:
    """Draw contours of f, dense near its least value in the picture and sparse far up."""
    import numpy as np

    x, y = np.meshgrid(np.linspace(*box[0], 201), np.linspace(*box[1], 201))
    numbers = iter((x, y))
    point = {
        n: tuple(next(numbers) for _ in v) if isinstance(v, tuple) else next(numbers)
        for n, v in start.items()
    }
    z = np.broadcast_to(np.asarray(f.on_grid(point), dtype=float), x.shape)
    z = np.ma.masked_invalid(z)
    if z.count() == 0 or z.max() == z.min():
        return
    # by area, not by height: so a flat valley shows as many contours as a steep wall
    levels = np.unique(np.quantile(z.compressed(), np.linspace(0, 1, 15) ** 1.3))
    panel.contourf(x, y, z, levels=levels, cmap="Blues", alpha=0.35)
    panel.contour(x, y, z, levels=levels, colors="#9db4c8", linewidths=0.6)
