"""Files that are whole or as they were, and what is said where they cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from surefoot.errors import InputError

__all__ = ["NotWritten", "at_home", "told", "whole"]

_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NotWritten(InputError):
    """The system says something against writing a file."""


def at_home(path: str | os.PathLike[str]) -> Path:
    """The path, with ~ and ~name as the home folder that is meant.

    Raises:
        InputError: there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"Cannot find '{path}': there is no home folder {Path(path).parts[0]!r}.") from None


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise NotWritten for what the system says against writing `path` inside `with`."""
    try:
        yield
    except OSError as error:
        room = ", or free some space there" * (error.errno in _ROOM)
        raise NotWritten(
            f"Cannot write '{path}': {error.strerror or error}; choose another folder{room}."
        ) from error


def whole(path: Path, content: bytes) -> None:
    """Write one file: complete beside its place, then moved there.

    Raises:
        InputError: it cannot be written; a file of that name from before is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    with told(path):
        path.parent.mkdir(exist_ok=True)
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
