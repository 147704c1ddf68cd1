"""What a run prints: that it cannot be printed ends no run."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

__all__ = ["gone", "say", "typed", "unread"]


def gone(error: OSError) -> bool:
    """Whether the reader of a stream has gone; Windows calls that an invalid argument."""
    windows = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or windows


def unread(error: OSError) -> bool:
    """Whether what writes to a stream raises this because nobody reads there, as in a closed terminal."""
    return gone(error) or error.errno == errno.EIO


def typed(path: Path) -> str:
    """A path as one types it in a shell; Windows' cmd takes a single quote for a part of the name."""
    import shlex
    import subprocess

    return subprocess.list2cmdline([str(path)]) if sys.platform == "win32" else shlex.quote(str(path))


def say(text: str, *, error: bool = False, begun: bool = True) -> None:
    """Print a line; where that fails, it is let go of.

    Args:
        text: the line.
        error: on stderr.
        begun: whether the run has begun. Before, a full disk under `> file` is better told than let go of.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # closed, and print would take the other
        return
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError as lacking:  # letters that its encoding has not
            known = text.encode(lacking.encoding, "replace").decode(lacking.encoding)
            print(known, file=stream, flush=True)
    except (OSError, ValueError) as failure:  # ValueError: it has been closed
        if isinstance(failure, OSError) and not begun and not unread(failure):
            raise
