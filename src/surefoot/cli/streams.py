"""What the command prints to: a reader that goes away, an encoding that lacks letters, no stream at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from surefoot.cli import letters
from surefoot.train.saying import gone, unread

__all__ = ["complain", "full", "gone", "lasting", "lenient", "let_go", "width"]


_PYTHONS = ("strict", "surrogateescape")  # the second in the C locale, where UTF-8 is turned off


def lenient() -> None:
    """Spell a letter that the terminal's encoding lacks, rather than fail: − as -, γ as lr."""
    letters.register()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _PYTHONS:  # else somebody chose
            # files and pipes have an old code page there, in which JSON or a page cannot be read again
            old = sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ
            stream.reconfigure(encoding="utf-8" if old else None, errors=letters.SPELLED)
    if sys.platform == "win32":  # whose console shows the codes of colours as letters until it is asked
        from colorama import just_fix_windows_console

        just_fix_windows_console()


def width(otherwise: int = 100) -> int:
    """How many columns a line may have: the terminal's, or as COLUMNS says; in a file or pipe `otherwise`."""
    if "COLUMNS" in os.environ or (sys.stdout is not None and sys.stdout.isatty()):
        return shutil.get_terminal_size((otherwise, 24)).columns
    return otherwise


def full(stream: TextIO | None) -> bool:
    """Whether the stream takes no byte, asked by one: after a flush that failed nothing may be left."""
    if stream is None:
        return False
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # it is no file, or closed
        return False
    try:
        os.write(number, b"\n")
    except OSError:
        return True
    return False


def let_go(stream: TextIO) -> None:
    """Drop what the stream still holds and cannot write, which the interpreter would complain of at exit."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def complain(text: str) -> None:
    """Say on stderr what went wrong; where nobody can be told, the exit code tells it."""
    try:
        print(f"surefoot: {text}", file=sys.stderr)
    except OSError:
        let_go(sys.stderr)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Inside `with`, go on whatever becomes of the output, as after `| head -1` or in a closed terminal.

    Only what stdout does not take from the start, as a full disk, is raised: no work is lost by then.
    """
    before = sys.stdout, sys.stderr
    mine = [s if s is None else _Lasting(s, taken=s is sys.stderr) for s in before]
    sys.stdout, sys.stderr = (cast(TextIO, s) for s in mine)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in mine:
            if stream is not None:
                stream.end()


class _Lasting:
    """A stream whose writes do not fail once it has taken some; everything else is the stream's own.

    Args:
        stream: what is written to.
        taken: whether it counts as one that has taken some.
    """

    def __init__(self, stream: TextIO, taken: bool) -> None:
        self._stream, self._taken, self._given = stream, taken, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._let_go():
            self._given = True
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._let_go():
            self._stream.flush()
            self._taken |= self._given  # of nothing, a flush to a full disk succeeds

    def end(self) -> None:
        """Nothing more is written: what a disk that was full has not taken yet is tried once more."""
        if self._taken:
            let_go(self._stream)

    @contextlib.contextmanager
    def _let_go(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if unread(error):
                let_go(self._stream)
            elif not self._taken:
                raise
