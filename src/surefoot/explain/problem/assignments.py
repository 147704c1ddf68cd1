"""Tensors as a person types them on a command line: a=2,3 or A=[[1,2],[3,4]]."""

from __future__ import annotations

import json
import re
from typing import Any

from surefoot.errors import InputError
from surefoot.options import WORDS

__all__ = ["read_assignments", "read_option_text"]

_NUMBER = re.compile(r"[^\[\],\s]+")


def read_assignments(text: str) -> dict[str, Any]:
    """Read one or more `name=value`, separated by semicolons; the numbers stay text, and so exact.

    Raises:
        InputError: it is not of that form, or gives a name twice.

    Example:
        >>> read_assignments("a=2,1/3; b=0.1; A=[[1,2],[3,4]]")
        {'a': ['2', '1/3'], 'b': '0.1', 'A': [['1', '2'], ['3', '4']]}
    """
    values: dict[str, Any] = {}
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if equals and not name.isidentifier():
            raise InputError(f"{name!r} cannot name a variable; use a plain name such as 'w'.")
        if not equals or not value:
            raise InputError(f"{part.strip()!r} has no value; write e.g. a=2,3 or A=[[1,2],[3,4]].")
        if "=" in value:
            said = re.sub(r"[,\s]+(?=\w+\s*=)", "; ", text)
            if said == text:
                raise InputError(
                    f"{part.strip()!r} has more than one =; write e.g. a=2,3 or A=[[1,2],[3,4]]."
                )
            raise InputError(f"{text!r} has several variables; put semicolons between them: {f'{said}'!r}.")
        if name in values:
            raise InputError(f"{name} is given twice: in {text!r}.")
        values[name] = _read(name, value)
    return values


def _read(name: str, text: str) -> Any:
    brackets = text if text.startswith("[") or "," not in text else f"[{text.rstrip(',')}]"
    try:
        return json.loads(_NUMBER.sub(lambda m: json.dumps(m[0]), brackets))
    except (json.JSONDecodeError, RecursionError):
        raise InputError(
            f"The value of {name}, {text!r}, is not a list of numbers; write e.g. 2,3 or [[1,2],[3,4]]."
        ) from None


def read_option_text(text: str) -> Any:
    """Read an option's value: true, false, none, a number (kept as text, and so exact), several, or a word.

    Example:
        >>> read_option_text("true"), read_option_text("1e-3"), read_option_text("0.9,0.99")
        (True, '1e-3', ('0.9', '0.99'))
    """
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    return tuple(text.split(",")) if "," in text else text
