"""One run, one folder: a lock, so that no other process writes there."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from surefoot.errors import InputError

__all__ = ["LOCK", "held", "locked"]

LOCK = ".lock"


def locked(path: Path) -> FileLock:
    """The folder's lock, which the system takes back when the process ends, however it does.

    The file stays: were it removed, a process could hold the removed one while another holds a new one.

    Raises:
        InputError: somebody else has it.
    """
    lock = FileLock(path / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"The folder '{path}' is in use by another run; wait until it ends, or choose a new folder."
        ) from None
    return lock


def held(path: Path) -> bool:
    """Whether a process writes to the folder just now; False where that cannot be found out."""
    if not (path / LOCK).exists():
        return False
    try:
        with FileLock(path / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
