"""What tells rows, a loss or a model from others, in a line of environment.json."""

from __future__ import annotations

import contextlib
import inspect
import zlib
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.train.rows.inputs import Inputs, Several, tensors
from surefoot.train.tensors import raw

__all__ = ["mark", "named", "sources", "told"]


def named(model: nn.Module) -> str:
    """What config.toml calls a model: by its class, which torch.compile wraps in one of its own."""
    kind = type(getattr(model, "_orig_mod", model))
    return f"{kind.__module__}:{kind.__qualname__}"


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
