"""How pictures look: readable in print, in grey and by the colour-blind; drawn without pyplot."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = ["INK", "QUIET", "Picture", "legend", "look", "panels", "styled"]

F = TypeVar("F", bound=Callable[..., Any])

INK = "#222222"
QUIET = "#8a8a8a"  # grids, borders, what is not the matter

# Okabe & Ito's colours, told apart by every kind of colour vision; with a line style
# and a marker each for print in grey
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1)),
    (0, (8, 2)),
    "-",
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: Any = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "mathtext.fontset": "dejavusans",
}


class Picture(Figure):
    """A matplotlib Figure that a notebook shows by itself; save it with `savefig`."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """As matplotlib's, but the same picture is the same SVG."""
        with matplotlib.rc_context({"svg.hashsalt": "surefoot"}):
            super().savefig(*args, **options)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def styled(draw: F) -> F:
    """Let a function draw in this style, and leave the caller's matplotlib settings as they are."""

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> Any:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return draw(*args, **options)

    return drawn  # type: ignore[return-value]


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 6.0, height: float = 3.8, **options: Any
) -> tuple[Picture, list[Axes]]:
    """Return a new picture and its panels, row by row.

    Args:
        rows: panels below each other.
        columns: panels beside each other.
        width: of the picture, in inches.
        height: of the picture, in inches.
        options: for `Figure.subplots`.

    Returns:
        The picture, and its panels in a list.
    """
    figure = Picture(
        figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.04, w_pad=0.06, h_pad=0.05)
    )
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def look(index: int, *, marker: bool = False) -> dict[str, Any]:
    """Return colour, line style and, if wanted, marker of the line with that number."""
    turn = index % len(_COLOURS)
    chosen = {"color": _COLOURS[turn], "linestyle": _DASHES[(turn + index // len(_COLOURS)) % len(_DASHES)]}
    return chosen | (
        {"marker": _MARKERS[turn], "markeredgecolor": "white", "markeredgewidth": 0.6} if marker else {}
    )


def legend(figure: Picture, handles: Sequence[Any], *, below: bool = False, title: str = "") -> None:
    """Put a legend outside the panels, in as many columns as the picture is wide enough for.

    Args:
        figure: the picture.
        handles: what is told.
        below: at the bottom.
        title: above it.
    """
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(figure.get_figwidth() * 15 / (longest + 8))  # 15 letters to the inch; 8 for line and gap
    rows = -(-len(handles) // max(1, columns))
    columns = -(-len(handles) // rows)  # as even as can be: a column of two beside five of one looks wrong
    place: Any = "outside lower center" if below else "outside upper center"
    figure.legend(
        handles=handles,
        loc=place,
        ncols=columns,
        title=title or None,
        title_fontsize=9,
    )
