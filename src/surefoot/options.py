"""Options as a person types them on a command line: `name=value`."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError

if TYPE_CHECKING:  # the optimizer's own process reads options, too, and has no command line
    from cyclopts import Token

__all__ = [
    "WORDS",
    "as_typed",
    "dtype_or_text",
    "parse_options",
    "split_options",
    "whole_number",
    "whole_numbers",
]

WORDS = {"true": True, "false": False, "none": None}  # in whatever case


def whole_numbers(_: Any, tokens: tuple[Token, ...]) -> Any:
    """Command line text as whole numbers; 1e3 is one, 2.5 is not, which cyclopts would cut."""
    numbers = []
    for token in tokens:
        try:
            numbers.append(int(token.value))
        except ValueError:
            try:
                number = float(token.value)
            except ValueError:
                number = math.nan
            if not number.is_integer():
                from cyclopts import CoercionError

                raise CoercionError(token=token, target_type=int) from None
            numbers.append(int(number))
    return tuple(numbers)


def whole_number(kind: Any, tokens: tuple[Token, ...]) -> Any:
    """The same of one number."""
    return whole_numbers(kind, tokens)[0]


def as_typed(_: Any, tokens: tuple[Token, ...]) -> str:
    """Command line text of a path: of an empty one, as of an unset $OUT, Path makes the current folder."""
    return tokens[0].value


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` pairs; a value is a Python literal, true, none, a dtype (torch.float32) or a word.

    Raises:
        InputError: a pair without an equals sign, or a name given twice.

    Example:
        >>> parse_options(["momentum=0.9", "nesterov=true", "betas=0.9,0.99", "mode=fast"])
        {'momentum': 0.9, 'nesterov': True, 'betas': (0.9, 0.99), 'mode': 'fast'}
    """
    return {name: _value(text) for name, text in split_options(pairs).items()}


def split_options(pairs: Iterable[str], given: Collection[str] = ()) -> dict[str, str]:
    """Split `name=value` pairs, the values as text; `given` has the names that have a value already.

    Raises:
        InputError: a pair without an equals sign, or a name given twice.

    Example:
        >>> split_options(["eps = 1e-8", "betas=0.9,0.99"])
        {'eps': '1e-8', 'betas': '0.9,0.99'}
    """
    options: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise InputError(f"The option {pair!r} is not of the form name=value, such as momentum=0.9.")
        if name in options or name in given:
            raise InputError(f"The option {name!r} is given twice.")
        options[name] = text.strip()
    return options


def _value(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for read in (int, float, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(value, (int, float, str, tuple, list, dict)):
            return tuple(value) if isinstance(value, list) else value
    parts = text.strip("()[]")
    if "," in parts and not set("()[]{}'\"") & set(parts):  # words among numbers, as in 0.9,inf
        return tuple(_value(part.strip()) for part in parts.split(",") if part.strip())
    return dtype_or_text(text)


def dtype_or_text(text: str) -> Any:
    """The dtype that a text such as "torch.float32" names; any other text as it is."""
    if not text.startswith("torch."):
        return text
    import torch

    found = getattr(torch, text.removeprefix("torch."), None)
    return found if isinstance(found, torch.dtype) else text
