"""Training curves from run folders: loss and accuracy, training against validation, runs over each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter

from surefoot.errors import InputError
from surefoot.plot import measured
from surefoot.plot.losses import scale_losses
from surefoot.plot.runs import apart, labels
from surefoot.plot.style import QUIET, Picture, legend, look, panels, styled
from surefoot.plot.titles import shortened, title
from surefoot.runs import History, read

__all__ = ["curves"]

_AXES = {"r2": "R²"}  # in the records' names → on the axis, where it is written otherwise
_PLACES = ((0.7, 3.6), (4.44, 7.3))  # of the panels for loss and metric, from left to right, in inches
_LETTERS = (4, 5)  # in a label beside them, such as 0.055 and 97.25 %, for which there is room


class RunLike(Protocol):
    """A run still in memory, such as `surefoot.fit` returns."""

    name: str
    folder: Path | None

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """The lines of metrics.jsonl."""


@styled
def curves(runs: Iterable[Path | str | RunLike | History]) -> Picture:
    """Draw loss and accuracy (or R²) of one run or several, training against validation.

    Training loss is averaged over batches, to 20 points an epoch; validation is drawn where it was measured.
    Several runs are named by the settings in which they differ.

    Args:
        runs: folders, or what `surefoot.fit` returned.

    Returns:
        The figure.

    Raises:
        InputError: no run; a folder that is no run's, or without any step or epoch yet.
    """
    histories = [_history(run) for run in runs]
    if not histories:
        raise InputError("There is no run to plot; give at least one run's folder.")
    for history in histories:
        looks = (r for r in history.records if r.get("kind") in ("step", "epoch", "valid"))
        if not any(
            measured.finite(value) for r in looks for name, value in r.items() if name.endswith("loss")
        ):
            raise InputError(f"The run {history.name!r} has not written a step or an epoch yet.")
    metrics = measured.metrics(histories)
    said = title(histories)
    figure, shown = panels(
        1, 1 + len(metrics), width=3.7 * (1 + len(metrics)), height=3.2 + 0.24 * bool(said), sharex=True
    )
    lengths = measured.epochs(histories)
    unit = "epoch" if all(lengths) else "step"  # within its first epoch a run does not know how long that is
    scales = [length or 1.0 for length in lengths] if unit == "epoch" else [1.0] * len(histories)
    for i, (history, scale) in enumerate(zip(histories, scales, strict=True)):
        training, validation = _looks(i, len(histories))
        for panel, what in zip(shown, ["loss", *metrics], strict=True):
            panel.set_xlabel(unit)
            points = measured.training(history, what, scale)
            dots: dict[str, Any] = {}
            if len(histories) == 1 and what != "loss":  # measured once an epoch
                dots = {"marker": "o", "markersize": 4}
            elif len(points[0]) == 1:  # a line through one point would not be seen
                dots = {"marker": "_", "markersize": 10}
            _draw(panel, points, training | dots)
            _draw(panel, measured.of(history, f"valid_{what}", scale), validation)
    drawn = {float(x) for panel in shown for line in panel.get_lines() for x in np.asarray(line.get_xdata())}
    if len(drawn) == 1:
        shown[0].set_xticks([*drawn])
    elif unit == "epoch" or shown[0].get_xlim()[1] > 3:
        shown[0].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    scale_losses(shown[0], measured.top(histories, scales))
    shown[0].set_ylabel("loss, on a log scale" if shown[0].get_yscale() == "log" else "loss")
    steps = measured.steps(histories[0])
    averaged = (
        measured.averaged(steps, scales[0])
        if steps and steps[-1]["step"] - steps[0]["step"] < len(steps)
        else 1
    )
    for panel, metric in zip(shown[1:], metrics, strict=True):
        panel.set_ylabel(_AXES.get(metric, metric))
        if metric == "accuracy":
            # room above 100 % is for what marks it
            panel.yaxis.set_major_formatter(
                FuncFormatter(lambda y, _: f"{round(100 * y, 6):g} %" if y < 1 + 1e-9 else "")
            )
        else:
            panel.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        if len(histories) == 1:
            _mark_best(panel, measured.of(histories[0], f"valid_{metric}", scales[0]), metric, unit)
    _legend(figure, histories, said, averaged)
    if len(histories) == 1:
        _place(figure, shown)
    return figure


def _history(run: Path | str | RunLike | History) -> History:
    if isinstance(run, History):
        return run
    if isinstance(run, (str, Path)):
        return read(run)
    records = run.records
    if getattr(run, "status", "") == "diverged":  # what is in memory has no record of that
        records = [*records, {"kind": "end", "status": "diverged"}]
    if run.folder is None:
        return History(run.name, records)
    found = read(run.folder)
    return History(run.name, records, found.config, found.path)


def _looks(index: int, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how training and validation look: in two colours if the run is alone, else in its own."""
    if count == 1:
        return look(0) | {"linewidth": 1.1}, look(1, marker=True) | {"linestyle": "-"}
    own = look(index, marker=True)
    return {"color": own["color"], "linewidth": 0.8, "alpha": 0.55, "zorder": 1.5}, own


def _draw(panel: Axes, points: measured.Points, style: dict[str, Any]) -> None:
    if points[0]:
        many = len(points[0]) > 30  # validated after every batch: markers would hide the line
        panel.plot(
            *points, **style | ({"markevery": len(points[0]) // 10} if many and "marker" in style else {})
        )


def _mark_best(panel: Axes, points: measured.Points, metric: str, unit: str) -> None:
    """Ring the best value of a run, and write it above, where no curve is."""
    if points[0]:
        x, y = max(zip(*points, strict=True), key=lambda point: point[1])
        text = f"{100 * y:.2f} %" if metric == "accuracy" else f"{y:.4f}"
        color = _looks(0, 1)[1]["color"]
        panel.scatter([x], [y], s=110, facecolors="none", edgecolors=color, zorder=4)
        panel.set_title(f"best {text}, {unit} {round(x, 2):g}", loc="right", color=color, fontsize=9)


def _place(figure: Picture, shown: Sequence[Axes]) -> None:
    """Give the panels their places at once, where their labels are of the usual length.

    To measure all that is written first would take as long as to draw it.
    """
    if len(shown) > len(_PLACES):
        return
    for panel, most in zip(shown, _LETTERS, strict=False):
        labels = [re.sub("[. ]", "", label.get_text()) for label in panel.yaxis.get_majorticklabels()]
        if max(map(len, labels), default=0) > most:
            return
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    top = 2.66 if len(shown) > 1 else 2.82  # below the best value and the legend
    for panel, (left, right) in zip(shown, _PLACES, strict=False):
        panel.set_position((left / width, 0.46 / height, (right - left) / width, (top - 0.46) / height))


def _legend(figure: Picture, histories: Sequence[History], title: str, averaged: int) -> None:
    if len(histories) == 1:
        training, validation = _looks(0, 1)
        over = f" (means of {averaged} steps)" if averaged > 1 else ""
        handles = [Line2D([], [], **training, label=f"training{over}")]
        if any("valid_loss" in record for record in histories[0].records):
            handles.append(Line2D([], [], **validation, label="validation"))
    else:
        named = labels(apart(histories), [history.config for history in histories])
        handles = [
            Line2D(
                [],
                [],
                **_looks(i, len(histories))[1],
                label=shortened(label, 48) + " (diverged)" * measured.diverged(history),
            )
            for i, (label, history) in enumerate(zip(named, histories, strict=True))
        ]
        handles += [
            Line2D([], [], color=QUIET, linewidth=0.8, label="training"),
            Line2D([], [], color=QUIET, marker="o", label="validation"),
        ]
    legend(figure, handles, title=shortened(title, int(14 * figure.get_figwidth())))
