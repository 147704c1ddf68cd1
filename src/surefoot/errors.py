"""Errors that a user can mend: one sentence, with the value, and what would be right."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

__all__ = [
    "Diverged",
    "InputError",
    "a_kind",
    "first_line",
    "headline",
    "nearest",
    "rendered",
    "said",
    "unknown",
]


class InputError(ValueError):
    """Something the user gave cannot be used. Its text is a whole sentence; the command line exits with 2."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return rendered(self)


class Diverged(InputError):
    """Training ran into NaN or inf. The command line exits with 3."""

    exit_code = 3


def rendered(error: BaseException) -> list[str]:
    """What a notebook shows of an error of one sentence: the user's own line, and the sentence.

    The frames inside surefoot, dozens of lines of them, say nothing of what to mend.
    """
    import traceback

    own = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package == "surefoot":
            break
        if package != "torch":  # whose wrappers lead here
            own = frame, line
    lines = [f"{type(error).__name__}: {error}"]
    if own is not None:
        (told,) = traceback.StackSummary.extract([own])
        file = [f"File {told.filename}:"] if os.path.exists(told.filename) else []  # a cell has none
        lines = [*file, f"----> {told.lineno} {told.line}", "", *lines]
    return lines


def said(error: BaseException) -> str:
    """What an exception says; nothing, if that raises, too."""
    try:
        return str(error)
    except Exception:
        return ""


def headline(error: BaseException) -> str:
    r"""What an exception says, in one line without a full stop: its type and its text's first line.

    Example:
        >>> headline(ValueError("no such thing.\nReally.")), headline(KeyError())
        ('ValueError: no such thing', 'KeyError')
    """
    text = next(iter(said(error).splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def first_line(error: Exception) -> str:
    r"""What an error of torch's says first: it lists all that does not fit below a heading, a line each.

    Example:
        >>> first_line(RuntimeError("Error(s) in loading:\n\tsize mismatch for a.\n\tsize mismatch for b."))
        'size mismatch for a, and 1 more'
    """
    heading, *lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return (lines[0] if lines else heading).rstrip(".") + more


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of a sentence on an unknown name: "; did you mean 'x'", or nothing where none is near.

    Example:
        >>> nearest("tourch", ["torch", "keras"]), nearest("x", ["torch"])
        ("; did you mean 'torch'", '')
    """
    near = difflib.get_close_matches(name, [*choices], n=1)
    return f"; did you mean {near[0]!r}" if near else ""


def a_kind(value: object) -> str:
    """What kind of thing a value is, in a sentence.

    Example:
        >>> a_kind(1), a_kind("x"), a_kind(None)
        ('an int', 'a str', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


def unknown(kind: str, name: str, choices: Iterable[str]) -> InputError:
    """Say that `name` is no known `kind`, and name the nearest one that is.

    Args:
        kind: what it should have been, such as "rule" or "class in ada.py".
        name: what was given.
        choices: what is known; all of it is listed.

    Returns:
        The InputError, to be raised.

    Example:
        >>> print(unknown("rule", "tourch", ["torch", "keras"]))
        Unknown rule 'tourch'; did you mean 'torch'? Known: keras, torch.
        >>> print(unknown("class in ada.py", "SGD", []))
        There is no class 'SGD' in ada.py, nor any other.
    """
    known = sorted(choices)
    what, of, place = next((p for p in map(kind.partition, (" in ", " of ")) if p[1]), (kind, "", ""))
    named = f"{what} {name!r}{of}{place}"
    if not known:
        return InputError(f"There is no {named}, nor any other.")
    near = nearest(name, known)
    return InputError(f"Unknown {named}{f'{near}? Known' if near else '; known'}: {', '.join(known)}.")
