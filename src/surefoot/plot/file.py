"""Where a picture is written: which files can hold one, and one sentence where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surefoot.errors import InputError

__all__ = ["check_picture", "free_name", "save_picture"]


def check_picture(file: Path) -> None:
    """Refuse a file that cannot hold a picture, before anything is worked out.

    Args:
        file: where it is to be written.

    Raises:
        InputError: its name ends in something else than .png, .pdf or .svg, or its folder is missing.

    Example:
        >>> check_picture(Path("curves.gif"))
        Traceback (most recent call last):
        surefoot.errors.InputError: The picture 'curves.gif' must be a .png, .pdf or .svg file.
    """
    if file.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise InputError(f"The picture '{file}' must be a .png, .pdf or .svg file.")
    if not file.parent.is_dir():
        raise InputError(f"Cannot write '{file}': there is no folder '{file.parent}'.")


def save_picture(figure: Any, file: Path, more: str = "") -> None:
    """Write a figure.

    Args:
        figure: a matplotlib figure.
        file: where to; what is there is written over.
        more: what to do where it cannot be written.

    Raises:
        InputError: it cannot be written.
    """
    try:
        figure.savefig(file)
    except OSError as error:
        more = f"; {more}" if more else ""
        raise InputError(f"Cannot write '{file}': {error.strerror or error}{more}.") from None


def free_name(file: Path) -> Path:
    """Return the file, or if there is one already the same with a number: x.png, x-2.png, x-3.png …"""
    number, free = 2, file
    while free.exists():
        free, number = file.with_stem(f"{file.stem}-{number}"), number + 1
    return free
