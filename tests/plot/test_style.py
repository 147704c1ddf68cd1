"""The style: nothing of the caller's is changed, nothing global is used, lines differ without colour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib

from surefoot.plot.style import Picture, look, panels, styled


def test_the_callers_settings_neither_change_nor_matter() -> None:
    with matplotlib.rc_context({"font.size": 33, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)

        @styled
        def draw() -> Picture:
            figure, (panel,) = panels()
            panel.plot([1, 2])
            return figure

        figure = draw()
        assert dict(matplotlib.rcParams) == before
    (line,) = figure.axes[0].get_lines()
    assert line.get_linewidth() == 1.6


def test_a_picture_shows_itself_in_a_notebook() -> None:
    figure, _ = panels()
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_lines_differ_without_colour() -> None:
    looks = [look(i, marker=True) for i in range(7)]
    assert len({x["color"] for x in looks}) == 7
    assert len({(str(x["linestyle"]), x["marker"]) for x in looks}) == 7
    assert len({str(x["linestyle"]) for x in looks[:6]}) == 6
    assert look(7)["color"] == look(0)["color"]
    assert look(7)["linestyle"] != look(0)["linestyle"]


def test_drawing_needs_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys; import surefoot; plot = surefoot.plot; assert 'matplotlib' not in sys.modules;"
        "assert callable(plot.curves.curves); assert 'paths' in dir(plot); assert not hasattr(plot, 'no');"
        "from surefoot.plot import curves, impulse, paths, rates, traces;"
        "impulse.impulses({'a': ('torch', {'lr': 0.1})});"
        "print(*sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figure, (panel,) = panels()
        panel.plot([1, 2], clip_on=True)
        figure.savefig(tmp_path / name, metadata={"Date": None})
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
