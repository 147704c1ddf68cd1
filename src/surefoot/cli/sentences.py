"""What the parser of the command line objects to, in sentences like all others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from surefoot.errors import unknown

__all__ = ["sentence"]

_CLASS = "Name an optimizer: surefoot {command} file.py:Class, or package.module:Class."
_RUN = "Name a run's folder, such as runs/20250101-120000-mlp: surefoot {command} RUN"
_MISSING = {
    ("identify", "OPTIMIZER"): _CLASS,
    (
        "gradients",
        "MAKE",
    ): "Name a function that returns (model, loss, batch): surefoot gradients file.py:make.",
    ("resume", "RUN"): f"{_RUN}.",
    ("predict", "RUN"): f"{_RUN} FILE.",
    ("predict", "FILE"): "Name a picture or a file of rows: surefoot predict RUN digit.png, or rows.npz.",
    (
        "convert",
        "--from",
    ): "Say which convention you have: --from torch, keras, …; surefoot rules lists all.",
}
_TAKES = {int: "a whole number", float: "a number", bool: "yes or no"}


def sentence(error: CycloptsError, commands: Iterable[str]) -> str:
    """Say what is wrong, and what would be right.

    Args:
        error: what cyclopts raised.
        commands: the names of all commands.
    """
    if isinstance(error, UnknownCommandError):
        return _unknown_command((error.unused_tokens or [""])[0], commands)
    if isinstance(error, UnusedCliTokensError):
        extra = " ".join(map(repr, error.unused_tokens or []))
        return f"Unexpected argument {extra}; options are written --name value, and --help lists them."
    if isinstance(error, UnknownOptionError):
        return _unknown_option(error)
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once; give it once."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return _missing(error, error.argument.name)
    if isinstance(error, CoercionError) and error.token is not None:
        return _wrong_value(error, error.token)
    return str(error)


def _unknown_command(word: str, commands: Iterable[str]) -> str:
    if word.startswith("-"):
        return _near_option(word, ["help", "version", "debug"])
    return f"{unknown('command', word, commands)} surefoot --help lists all commands."


def _unknown_option(error: UnknownOptionError) -> str:
    word = error.token.value or error.token.keyword or ""
    if len(word) > 2 and word[0] == "-" != word[1]:
        return f"Unknown option {word!r}; if it is a formula, put a space before it: {f' {word}'!r}."
    names = [name.lstrip("-") for x in error.argument_collection if x.parse for name in x.names]
    return _near_option(word.partition("=")[0], names)


def _near_option(word: str, names: Iterable[str]) -> str:
    """Name the option that is near to what was typed, if one is, whatever hyphens all begin with."""
    known, bare = {*names}, word.lstrip("-")
    begun = sorted(name for name in known if bare and name.startswith(bare))
    if near := begun if len(begun) == 1 else difflib.get_close_matches(bare, known, n=1):
        return f"Unknown option {word}; did you mean --{near[0]}?"
    if "option" in known:
        given = bare.replace("-", "_")
        return f"Unknown option {word}; give hyperparameters not listed by --help as --option {given}=…"
    return f"Unknown option {word}; --help lists all options."


def _missing(error: MissingArgumentError, name: str) -> str:
    if error.keyword or (error.argument and error.argument.tokens):
        return f"{error.keyword or name} requires a value, but none follows it."
    command = " ".join(error.command_chain or ())
    if said := _MISSING.get((command, name if name.startswith("--") else name.upper())):
        return said.format(command=command)
    return f"{name} is missing; surefoot {command} --help describes it."


def _wrong_value(error: CoercionError, token: Any) -> str:
    name = token.keyword or (error.argument.name.upper() if error.argument else "The value")
    if error.msg is not None:
        return f"{name} {error.msg}"
    kind: Any = error.target_type
    if get_origin(kind) is Literal:
        return str(unknown(f"value of {name}", str(token.value), map(str, get_args(kind))))
    if kind in _TAKES:
        return f"{name} must be {_TAKES[kind]}, not {token.value!r}."
    return str(error)
