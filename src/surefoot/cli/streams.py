"""What the command prints to: a reader that goes away, an encoding that lacks letters, no stream at all."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from surefoot.train.saying import gone

__all__ = ["gone", "lasting", "lenient", "let_go"]


_PYTHONS = ("strict", "surrogateescape")  # the second in the C locale, where UTF-8 is turned off


def lenient() -> None:
    """Write a letter that the terminal's encoding lacks as ?, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _PYTHONS:  # else somebody chose
            # files and pipes have an old code page there, in which JSON or a page cannot be read again
            old = sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ
            stream.reconfigure(encoding="utf-8" if old else None, errors="replace")
    if sys.platform == "win32":  # whose console shows the codes of colours as letters until it is asked
        from colorama import just_fix_windows_console

        just_fix_windows_console()


def let_go(stream: TextIO) -> None:
    """Drop what the stream still holds and cannot write, which the interpreter would complain of at exit."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Inside `with`, go on when the reader has gone, as after `| head -1`: no work is lost."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Lasting(s)) if s is not None else s for s in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Lasting:
    """A stream whose writes never fail for want of a reader; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._let_go():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._let_go():
            self._stream.flush()

    @contextlib.contextmanager
    def _let_go(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not gone(error):
                raise
            let_go(self._stream)
