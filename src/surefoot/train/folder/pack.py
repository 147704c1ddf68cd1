"""Whatever a state_dict holds -> plain JSON and tensors, and back exactly: reading it back runs no code."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from surefoot.errors import InputError

__all__ = ["pack", "unpack"]


def pack(value: Any, name: str = "state") -> tuple[Any, dict[str, Tensor]]:
    """Part a state into what JSON holds and what safetensors holds.

    None, True, numbers, texts and lists stay as they are; all else is an object with one key that says what
    it is: {"dict": [[key, value], ...]}, {"tuple": [...]}, {"tensor": "7"}, {"dtype": "float32"} and so on.

    Args:
        value: such as an optimizer's state_dict().
        name: what it is called in a message.

    Returns:
        The JSON value, and the tensors that it names: on the CPU, contiguous, no two sharing memory.

    Raises:
        InputError: something in it is none of these.

    Example:
        >>> pack({"betas": (0.9, 0.99), 0: torch.ones(2)})
        ({'dict': [['betas', {'tuple': [0.9, 0.99]}], [0, {'tensor': '0'}]]}, {'0': tensor([1., 1.])})
    """
    tensors: dict[str, Tensor] = {}
    taken: set[int] = set()

    def hold(tensor: Tensor) -> str:
        tensor = tensor.detach()
        plain = tensor.resolve_conj().resolve_neg().cpu().contiguous()
        # safetensors refuses tensors that share memory, as tied weights do
        place = plain.untyped_storage().data_ptr()
        if place in taken or plain.untyped_storage().nbytes() != plain.nbytes:
            plain = plain.clone()
        taken.add(plain.untyped_storage().data_ptr())
        tensors[str(len(tensors))] = plain
        return str(len(tensors) - 1)

    def put(value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if isinstance(value, float):  # numpy's float64 is one
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        # longdouble stays what it is, and a time would lose its unit
        if isinstance(value, np.generic) and value.dtype.kind in "biufU" and type(value.item()) is not kind:
            return put(value.item(), path)
        if kind is list:
            return [put(item, f"{path}[{i}]") for i, item in enumerate(value)]
        if kind is tuple:
            return {"tuple": [put(item, f"{path}[{i}]") for i, item in enumerate(value)]}
        if kind in _MAPPINGS:
            items = [[put(k, path), put(v, f"{path}[{k!r}]")] for k, v in value.items()]
            return {kind.__name__: items}
        if kind is torch.dtype:
            return {"dtype": str(value).removeprefix("torch.")}
        if kind is torch.device:
            return {"device": str(value)}
        if type(value) in (np.ndarray, np.memmap) and value.dtype.kind in "biuf":  # a masked one has more
            with suppress(TypeError):  # torch has no longdouble
                native = value.astype(value.dtype.newbyteorder("="))
                return {"array": hold(torch.from_numpy(native)), "of": value.dtype.str}
        if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized:
            if value.is_complex():  # safetensors does not know every complex type
                return {"complex": hold(torch.view_as_real(value.detach().resolve_conj()))}
            if _known(value.dtype):
                return {"tensor": hold(value)}
        what = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, (Tensor, np.ndarray)):
            what += f" of {value.dtype}"
        if isinstance(value, Tensor) and value.layout != torch.strided:
            what += f", {value.layout}"
        raise InputError(
            f"A run folder cannot store {path}, a {what}; it can store numbers, strings, None, lists, tuples,"
            " dicts, dtypes, arrays and dense tensors."
        )

    return put(value, name), tensors


def unpack(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """The state that `pack` parted.

    Raises:
        ValueError: `plain` is not what `pack` returns.

    Example:
        >>> unpack(*pack({"step": torch.tensor(3.0), "seen": [None, float("inf")]}))
        {'step': tensor(3.), 'seen': [None, inf]}
    """
    if isinstance(plain, list):
        return [unpack(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind, content = next(iter(plain.items()))
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(unpack(item, tensors) for item in content)
    if kind in _NAMES:
        return _NAMES[kind]({unpack(k, tensors): unpack(v, tensors) for k, v in content})
    if kind == "dtype" and isinstance(dtype := getattr(torch, content, None), torch.dtype):
        return dtype
    if kind == "device":
        return torch.device(content)
    if kind == "array":
        return tensors[content].numpy().astype(plain["of"], copy=False)
    if kind == "complex":
        return torch.view_as_complex(
            tensors[content].clone()
        )  # aligned, as in a file that is mapped it need not be
    if kind == "tensor":
        return tensors[content]
    raise ValueError(f"unknown kind {kind!r}")


@cache
def _known(dtype: torch.dtype) -> bool:
    """Whether safetensors writes tensors of that dtype."""
    try:
        safetensors.torch.save({"0": torch.empty(0, dtype=dtype)})
    except Exception:  # it has no error of its own for them
        return False
    return True


_MAPPINGS: tuple[type, ...] = (dict, OrderedDict, Counter)
_NAMES: dict[str, Any] = {kind.__name__: kind for kind in _MAPPINGS}
