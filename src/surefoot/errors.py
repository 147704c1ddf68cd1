"""Errors that a user can mend: one sentence, with the value, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["Diverged", "InputError", "unknown"]


class InputError(ValueError):
    """Something the user gave cannot be used. Its text is one whole sentence; the command line exits with 2."""

    exit_code = 2


class Diverged(InputError):
    """Training ran into NaN or inf. The command line exits with 3."""

    exit_code = 3


def unknown(kind: str, name: str, choices: Iterable[str]) -> InputError:
    """Say that `name` is no known `kind`, and name the nearest one that is.

    Example:
        >>> print(unknown("rule", "tourch", ["torch", "keras"]))
        Unknown rule 'tourch'; did you mean 'torch'? Known: keras, torch.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}? Known" if near else "; known"
    return InputError(f"Unknown {kind} {name!r}{hint}: {', '.join(known)}.")
