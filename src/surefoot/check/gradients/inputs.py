"""The inputs of a batch: which have a gradient, and how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["fresh", "name_of", "named", "rowed", "why_not"]


def named(model: Callable[..., Any], inputs: list[Any], taken: set[str]) -> dict[str, Tensor]:
    """Each tensor among the inputs, by the name of the argument that takes it; in a list or a dict, by place.

    Args:
        model: a module or a function.
        inputs: in the order of its arguments.
        taken: the names that are given already.
    """
    names = _arguments(model)[: len(inputs)]
    if len(names) < len(inputs):
        names = ["input"] if len(inputs) == 1 else [f"input {i + 1}" for i in range(len(inputs))]
    found = {}
    for name, value in zip(names, inputs, strict=True):
        for place, tensor in _tensors(value):
            called = f"{name}{place}"
            found[f"input {called}" if called in taken else called] = tensor
    return found


def name_of(model: Callable[..., Any]) -> str:
    """How a model is called in a report: a module by its class, an autograd.Function by its own name."""
    owner = getattr(model, "__self__", None)
    if inspect.isclass(owner) and issubclass(owner, torch.autograd.Function):
        return str(owner.__name__)
    return str(getattr(model, "__name__", type(model).__name__))


def why_not(tensor: Tensor) -> str:
    """Why a tensor cannot have a gradient; nothing if it can."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return f"holds {str(tensor.dtype).removeprefix('torch.')} and has no gradient"
    if tensor.layout != torch.strided:
        return "is sparse"
    return "" if tensor.isfinite().all() else "holds numbers that are not finite"


def fresh(value: Any) -> Any:
    """The same, each tensor as one that a layer may overwrite, and that leads back to it."""
    if isinstance(value, Tensor):
        return value.clone() if value.layout == torch.strided else value
    if isinstance(value, dict):
        return {k: fresh(v) for k, v in value.items()}
    return [fresh(v) for v in value] if isinstance(value, list) else value


def rowed(value: Any, row: int, rows: int) -> Any:
    """The same, of each tensor of so many rows one row alone."""
    if isinstance(value, Tensor):
        return value[row : row + 1] if value.ndim and len(value) == rows else value
    if isinstance(value, dict):
        return {k: rowed(v, row, rows) for k, v in value.items()}
    return [rowed(v, row, rows) for v in value] if isinstance(value, list) else value


def _tensors(value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield "", value
    elif isinstance(value, dict):
        yield from ((f"[{k!r}]{place}", t) for k, v in value.items() for place, t in _tensors(v))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{i}]{place}", t) for i, v in enumerate(value) for place, t in _tensors(v))


def _arguments(model: Callable[..., Any]) -> list[str]:
    """The names of positional arguments; none where they are not known."""
    function: Any = model.forward if isinstance(model, nn.Module) else model
    owner = getattr(function, "__self__", None)
    context = 0
    if inspect.isclass(owner) and issubclass(owner, torch.autograd.Function):
        function = owner.forward
        context = owner.setup_context is torch.autograd.Function.setup_context  # forward takes ctx first
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [a.name for a in arguments if a.kind in positional][context:]
