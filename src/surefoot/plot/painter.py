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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["begun", "hired"]

# it finds surefoot where this process does, whatever files lie in the current folder
_CHILD = "import sys; sys.path[:] = {path}; from surefoot.plot import painter; painter.work()"

_TRIAL = [
    {"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 1.0, "valid_loss": 1.0, "valid_accuracy": 0.5}
]

_painter: subprocess.Popen[bytes] | None = None  # the process
_free = False  # whether it has no run to draw yet: it draws one


@contextlib.contextmanager
def hired() -> Iterator[None]:
    """Have the process at hand inside `with`, where there is a core for it; it dies with this one."""
    global _painter, _free
    if (os.cpu_count() or 1) > 1:
        with contextlib.suppress(OSError):  # no room for a process: this one will draw
            _painter = subprocess.Popen(
                [sys.executable, "-c", _CHILD.format(path=[entry for entry in sys.path if entry])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the training, which wants its picture then too
            )
    _free = _painter is not None
    try:
        yield
    finally:
        _free = False
        if _painter is not None:  # nobody took its picture
            _painter.kill()
            _painter.communicate()
            _painter = None


def begun(name: str, records: Sequence[Mapping[str, Any]], folder: Path | None = None) -> Callable[[], bytes]:
    """Let the process at hand draw the curves of a run; what is returned waits for them, a PNG.

    Where no process was started, or it failed, this one draws then. The folder's config.toml makes the title.
    """
    global _free
    place = None if folder is None else str(folder)
    painter, mine = _painter, _free
    if painter is None or not mine:
        return lambda: _drawn(name, records, place)
    _free = False

    def send() -> None:
        assert painter is not None
        assert painter.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone, or let go: its pipe is closed
            painter.stdin.write(
                json.dumps({"name": name, "records": records, "folder": place}).encode() + b"\n"
            )
            painter.stdin.flush()

    # it may not read yet: many records are more than a pipe holds
    sending = threading.Thread(target=send, daemon=True)
    sending.start()

    def picture() -> bytes:
        global _painter
        sending.join()
        drawn, _ = painter.communicate()
        _painter = None
        return drawn if drawn and painter.returncode == 0 else _drawn(name, records, place)

    return picture


def work() -> None:
    """What the process does: import, draw one on trial, wait for a run, draw it, and end."""
    gc.disable()  # a process that lives for one picture
    _drawn("", _TRIAL)  # now, while it is not waited for: fonts, and what matplotlib imports late
    if job := sys.stdin.buffer.readline():
        sys.stdout.buffer.write(_drawn(**json.loads(job)))
        sys.stdout.flush()
    os._exit(0)  # nothing is left to be tidied up


def _drawn(name: str, records: Sequence[Mapping[str, Any]], folder: str | None = None) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from surefoot.plot.curves import curves
    from surefoot.runs import History, config

    settings = {} if folder is None else config(Path(folder) / "config.toml")
    picture = io.BytesIO()
    # savefig lays everything out and draws it twice; the usual compression takes 7 ms more for a tenth less
    FigureCanvasAgg(curves([History(name, records, settings)])).print_png(
        picture, pil_kwargs={"compress_level": 1}
    )  # type: ignore[no-untyped-call]
    return picture.getvalue()
