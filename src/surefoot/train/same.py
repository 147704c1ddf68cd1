"""Whether a run that is resumed is the one that was begun."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.config import Config
from surefoot.train.inputs import Inputs, Several, tensors
from surefoot.train.tensors import raw

__all__ = ["check_given", "check_options", "mark", "named", "settled", "sources", "told"]

_FREE = {"name", "out", "checkpoint_every"}  # a resumed run may have others of these


_ALWAYS = {field.name for field in dataclasses.fields(Config) if field.default is not None}  # in config.toml


def settled(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run keeps from its begin to its end."""
    return {name: value for name, value in options.items() if name not in _FREE}


def named(model: nn.Module) -> str:
    """What config.toml calls a model: by its class, which torch.compile wraps in one of its own."""
    kind = type(getattr(model, "_orig_mod", model))
    return f"{kind.__module__}:{kind.__qualname__}"


def check_options(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise an InputError for the first option that the run in the folder `path` was begun otherwise with."""
    then, now = settled(then), settled(now)
    for name in sorted(then.keys() | now.keys(), key=lambda name: (name not in ("model", "optimizer"), name)):
        if then.get(name) != now.get(name):
            if name not in then and name in _ALWAYS:
                raise InputError(f"{path / 'config.toml'} has lost the line of {name!r}; put it back.")
            was, new = ("none" if v is None else repr(v) for v in (then.get(name), now.get(name)))
            raise InputError(
                f"The run in '{path}' was begun with {name.replace('_', '-')} {was}, not {new};"
                " resume it with the same, or choose a new folder."
            )


def mark(x: Inputs, y: Tensor, dtype: torch.dtype | None = None, count: int | None = None) -> str:
    """What tells rows from others: how many of what, and a checksum of a thousand of them, evenly spaced.

    Args:
        x: inputs.
        y: targets.
        dtype: of the inputs as they are trained on, if it is another.
        count: how many there are, where these are a thousand of more.
    """
    picked, check = torch.arange(0, len(x), -(-len(x) // 1000)), 0
    names = x.names if isinstance(x, Several) else ()
    parts = dict(sorted(zip(names, tensors(x), strict=True))) if names else dict(enumerate(tensors(x)))
    several = [(t, dtype or t.dtype) for t in parts.values()]
    for t, kind in (*several, (y, y.dtype)):
        some = t.detach().index_select(0, picked.to(t.device)).cpu().to(kind)
        check = zlib.crc32(raw(some), check)
    what = [
        f"{' × '.join(map(str, t.shape[1:])) or 'one number'}, {str(kind).removeprefix('torch.')}"
        for t, kind in several
    ]
    what = [f"{name}: {part}" for name, part in zip(parts, what, strict=True)] if names else what
    return f"{count or len(x):,} rows of {'; '.join(what)}, checksum {check:08x}"


def told(**things: Any) -> dict[str, Callable[[], str]]:
    """For `check_given`: what each thing is told from others by.

    That is a function's name, or an object's class; of a partial and of torch's losses, what they were given,
    too, such as the weights of classes.
    """
    return {what: partial(_name, thing) for what, thing in things.items()}


def _name(thing: Any) -> str:
    if thing is None or isinstance(thing, str):
        return thing or "none"
    name = str(getattr(thing, "__qualname__", type(thing).__qualname__))
    given: dict[str, Any] = {}
    if isinstance(thing, partial):
        given = {"of": _name(thing.func), **{str(i): v for i, v in enumerate(thing.args)}, **thing.keywords}
    elif isinstance(thing, nn.Module) and type(thing).__module__.startswith("torch.nn."):
        given = {key: v for key, v in vars(thing).items() if key[0] != "_" and key != "training"}
        given |= dict(thing.named_buffers())
    words = []
    for key, value in sorted(given.items()):
        if isinstance(value, Tensor):
            if value.layout == torch.strided and not (value.is_quantized or value.is_nested):
                words.append(f"{key}=checksum {_numbers_checksum(value):08x}")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            words.append(f"{key}={repr(float(value)).removesuffix('.0')}")  # 1 is 1.0
        elif value is None or isinstance(value, (bool, str)):
            words.append(f"{key}={value}")
    return f"{name}({', '.join(words)})" if words else name


def _numbers_checksum(t: Tensor) -> int:
    numbers = torch.view_as_real(t.detach().resolve_conj()) if t.is_complex() else t.detach()
    return zlib.crc32(numbers.cpu().double().contiguous().numpy().tobytes())


def sources(**things: Any) -> dict[str, str]:
    """A checksum of the Python of each thing's class, and of its modules', where that is the user's own."""
    found = {}
    for what, thing in things.items():
        parts = thing.modules() if isinstance(thing, nn.Module) else [thing]
        kinds = {type(part) for part in parts}
        check = 0
        for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
            if kind.__module__.partition(".")[0] not in ("torch", "surefoot"):
                check = zlib.crc32(_written(kind).encode(), check)
        if check:
            found[what] = f"{check:08x}"
    return found


def _written(kind: type) -> str:
    """The Python of a class; of its methods where none is found, as of one from a notebook's cell."""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(kind)
    written = ""
    for _, thing in sorted(vars(kind).items()):
        whole = [thing.fget, thing.fset, thing.fdel] if isinstance(thing, property) else [thing]
        for part in whole:
            function = getattr(part, "__func__", part)  # of a static method, or a class's
            if inspect.isfunction(function):
                try:
                    written += inspect.getsource(function)
                except OSError:  # as of what exec has made
                    written += _compiled(function.__code__)
    return written


def _compiled(code: CodeType) -> str:
    """What a function does, without where it stands."""
    consts = []
    for const in code.co_consts:
        if isinstance(const, CodeType):
            consts.append(_compiled(const))
        else:  # a set's order is another in each process
            consts.append(str(sorted(map(repr, const))) if isinstance(const, frozenset) else repr(const))
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def check_given(path: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise an InputError for what is not as it was when the run in the folder `path` was begun.

    Args:
        path: the run's folder.
        then: "rows to train on", "loss" and the like -> what tells it from others.
        now: the same.
    """
    for what, was in then.items():
        new = now.get(what, "none")
        if new != was:
            other = "other" if what.startswith("rows") else "another"
            raise InputError(
                f"The run in '{path}' was begun with {other} {what}: {was}, not {new};"
                " resume it with the same, or choose a new folder."
            )
