"""A process that gets matplotlib ready while a training goes on, and draws its curves when it is over.

Importing matplotlib and drawing take as long as a short training; with a second core they cost no time of it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["begun", "hired"]

# it finds surefoot where this process does, whatever files lie in the current folder
_CHILD = "import sys; sys.path[:] = {path}; from surefoot.plot import painter; painter.work()"

_TRIAL = [
    {"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 1.0, "valid_loss": 1.0, "valid_accuracy": 0.5}
]

_painter: subprocess.Popen[bytes] | None = None


@contextlib.contextmanager
def hired() -> Iterator[None]:
    """Have the process at hand inside `with`, where there is a core for it; it dies with this one."""
    global _painter
    if (os.cpu_count() or 1) > 1:
        with contextlib.suppress(OSError):  # no room for a process: this one will draw
            _painter = subprocess.Popen(
                [sys.executable, "-c", _CHILD.format(path=[entry for entry in sys.path if entry])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the training, which wants its picture then too
            )
    try:
        yield
    finally:
        if _painter is not None:  # nothing was drawn
            _painter.kill()
            _painter.communicate()
            _painter = None


def begun(name: str, records: Sequence[Mapping[str, Any]]) -> Callable[[], bytes]:
    """Let the process at hand draw the curves of a run; what is returned waits for them, a PNG.

    Where no process was started, or it failed, this one draws then.
    """
    if _painter is not None and _painter.stdin is not None:
        with contextlib.suppress(OSError):  # it is gone
            _painter.stdin.write(json.dumps({"name": name, "records": records}).encode() + b"\n")
            _painter.stdin.flush()

    def picture() -> bytes:
        global _painter
        if _painter is not None:
            painter, _painter = _painter, None
            drawn, _ = painter.communicate()
            if drawn and painter.returncode == 0:
                return drawn
        return _drawn(name, records)

    return picture


def work() -> None:
    """What the process does: import, draw one on trial, wait for a run, draw it, and end."""
    gc.disable()  # a process that lives for one picture
    _drawn("", _TRIAL)  # now, while it is not waited for: fonts, and what matplotlib imports late
    if job := sys.stdin.buffer.readline():
        sys.stdout.buffer.write(_drawn(**json.loads(job)))
        sys.stdout.flush()
    os._exit(0)  # nothing is left to be tidied up


def _drawn(name: str, records: Sequence[Mapping[str, Any]]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from surefoot.plot.curves import curves
    from surefoot.plot.runs import History

    picture = io.BytesIO()
    # savefig lays everything out and draws it twice
    FigureCanvasAgg(curves([History(name, records)])).print_png(picture)  # type: ignore[no-untyped-call]
    return picture.getvalue()
