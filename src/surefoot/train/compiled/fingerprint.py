"""What a model or a loss computes, told from its Python: code, settings and constants, by value.

Two losses of one class, such as HuberLoss with different deltas, or two functions that close over different
numbers, look the same by name and by source. A program compiled from one must never run for the other, and
its check against eager steps cannot show every difference: on the rows it looks at they may agree.
"""

from __future__ import annotations

import contextvars
import copyreg
import enum
import functools
import hashlib
import logging
import sys
import threading
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surefoot.train.tensors import raw

__all__ = ["Untold", "fingerprint"]

_MOST = 100_000  # things to look at: a model has some thousand
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, type(...))
_DESCRIPTORS = (
    types.MemberDescriptorType, types.GetSetDescriptorType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.MethodWrapperType,
)  # fmt: skip
# what computes nothing: a lock in a model, a logger
_NUMBERLESS = (type(threading.Lock()), type(threading.RLock()), contextvars.ContextVar, logging.Logger)
_VERSIONED = {"torch", "numpy", *sys.stdlib_module_names}  # told by name: the key holds their versions


class Untold(Exception):
    """A step cannot be told from others, or not be traced; the text says why, as the end of a sentence."""


def fingerprint(thing: Any, known: Mapping[int, str] | None = None, apart: str | None = None) -> str:
    """A hash that two things share only where their Python does the same.

    Args:
        thing: a module, a function, a partial of one, an object with settings.
        known: id -> name of tensors that are inputs of the program, whose values do not matter.
        apart: what the thing is called, where it must not refer to any of those.

    Raises:
        Untold: it refers to too much, to what cannot be told by value, or to what it must not.

    Example:
        >>> from torch.nn import HuberLoss
        >>> fingerprint(HuberLoss(delta=1.0)) == fingerprint(HuberLoss(delta=1.0))
        True
        >>> fingerprint(HuberLoss(delta=1.0)) == fingerprint(HuberLoss(delta=2.0))
        False
    """
    return hashlib.sha256(_Look(known or {}, apart).told(thing).encode()).hexdigest()


class _Look:
    """One look through a thing and all that it refers to."""

    def __init__(self, known: Mapping[int, str], apart: str | None) -> None:
        self._known, self._apart = known, apart
        # number by id, and the things themselves: an id is free for others once its thing is gone
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []

    def told(self, thing: Any) -> str:
        kind = type(thing)
        if kind in _PLAIN or isinstance(thing, np.generic):
            return f"{kind.__name__} {thing!r}"
        if id(thing) in self._known:
            if self._apart is not None:
                raise Untold(f"{self._apart} reads the model's own tensors")
            return f"input {self._known[id(thing)]}"
        if id(thing) in self._seen:
            return f"again {self._seen[id(thing)]}"
        self._seen[id(thing)] = len(self._seen)
        self._kept.append(thing)
        if len(self._seen) > _MOST:
            raise Untold("its model or loss refers to too many objects to inspect")
        if isinstance(thing, Tensor):
            return self._tensor(thing)
        if isinstance(thing, np.ndarray):
            return f"array {thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}"
        if isinstance(thing, (tuple, list)):
            return self._all(kind.__name__, (*thing, *_own(thing)))
        if isinstance(thing, (set, frozenset)):
            return f"set {sorted(map(repr, thing))}"
        if isinstance(thing, dict):
            pairs = (item for pair in thing.items() for item in pair)
            return self._all(kind.__name__, (*pairs, *_own(thing)))
        if isinstance(thing, types.MappingProxyType):
            return self.told(dict(thing))
        if isinstance(thing, weakref.ref):
            return self._all("weak", (thing(),))
        if isinstance(thing, _DESCRIPTORS):
            return f"{kind.__name__} {thing.__qualname__}"
        if isinstance(thing, (types.ModuleType, types.BuiltinFunctionType, enum.Enum)):
            return f"{kind.__name__} {thing!r}" if isinstance(thing, enum.Enum) else _name(thing)
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.MethodType):
            return self._all("method", (thing.__func__, thing.__self__))
        if isinstance(thing, types.CodeType):
            return self._all("code", (thing.co_code, thing.co_names, thing.co_consts))
        if isinstance(thing, functools.partial):
            return self._all("partial", (thing.func, thing.args, thing.keywords))
        if isinstance(thing, (staticmethod, classmethod)):
            return self.told(thing.__func__)
        if isinstance(thing, property):
            return self._all("property", (thing.fget,))
        if isinstance(thing, functools.cached_property):
            return self._all("cached property", (thing.func,))
        if isinstance(thing, _NUMBERLESS):
            return f"{kind.__name__} {getattr(thing, 'name', '')}"
        if isinstance(thing, (torch.finfo, torch.iinfo)):
            return repr(thing)
        if isinstance(thing, type):
            return self._class(thing)
        # of a subclass of float, the number
        plain: Any = next((base for base in _PLAIN if isinstance(thing, base)), None)
        value = None if plain is None else plain.__repr__(thing)
        slots = [getattr(thing, name, None) for name in _slots(kind)]
        if value is None and not slots and not hasattr(thing, "__dict__"):
            return self._all("object", (kind, *_reduced(thing)))
        return self._all("object", (kind, value, slots, *_own(thing)))

    def _all(self, kind: str, things: Any) -> str:
        return f"{kind}({', '.join([self.told(thing) for thing in things])})"

    def _tensor(self, tensor: Tensor) -> str:
        about = f"tensor {tuple(tensor.shape)} {tensor.dtype} {tensor.stride()}"
        return f"{about} {hashlib.sha256(raw(tensor)).hexdigest()}"

    def _function(self, function: types.FunctionType) -> str:
        if _versioned(function.__module__):
            return _name(function)
        cells = [_content(cell) for cell in function.__closure__ or ()]
        code, more = function.__code__, self._globals(function.__code__, function.__globals__)
        parts = (code, function.__defaults__, function.__kwdefaults__, cells, *_own(function), *more)
        return self._all(function.__qualname__, parts)

    def _globals(self, code: types.CodeType, space: Mapping[str, Any]) -> Any:
        """The globals that the code names, and what it names of modules that have no version in the key."""
        for name in code.co_names:
            if name in space:
                found = space[name]
                yield found
                if isinstance(found, types.ModuleType) and not _versioned(found.__name__):
                    yield from (getattr(found, n) for n in code.co_names if hasattr(found, n))
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                yield from self._globals(inner, space)

    def _class(self, found: type) -> str:
        """Its name, and the methods and settings of all its bases that have no version in the key."""
        own = [base for base in found.__mro__ if not _versioned(base.__module__)]
        parts = [
            (name, value)
            for base in own
            for name, value in vars(base).items()
            if name not in ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__")
        ]
        return self._all(f"{_name(found)} {[_name(base) for base in found.__mro__]}", parts)


def _own(thing: Any) -> list[Any]:
    """The attributes that were given to the thing itself, if any."""
    own = getattr(thing, "__dict__", None)
    return [dict(own)] if own else []


def _slots(kind: type) -> list[str]:
    found = [base.__dict__.get("__slots__", ()) for base in kind.__mro__]
    return [name for names in found for name in ([names] if isinstance(names, str) else names)]


def _reduced(thing: Any) -> list[Any]:
    """What a pickle of it would hold."""
    try:
        reduce = copyreg.dispatch_table.get(type(thing))
        reduced: Any = reduce(thing) if reduce else thing.__reduce_ex__(4)
        _, arguments, *state = reduced
    except Exception:
        kind = type(thing).__name__
        raise Untold(f"its model or loss refers to a {kind}, whose value cannot be determined") from None
    return [arguments, *(list(part) if isinstance(part, Iterator) else part for part in state)]


def _versioned(module: str | None) -> bool:
    return (module or "builtins").partition(".")[0] in _VERSIONED


def _name(thing: Any) -> str:
    name = getattr(thing, "__qualname__", None) or thing.__name__
    return f"{getattr(thing, '__module__', '')}:{name}"


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None
