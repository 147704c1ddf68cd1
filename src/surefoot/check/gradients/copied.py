"""A copy of a model in float64: what `deepcopy` and `.to` leave undone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["rehook", "to_double"]


def to_double(value: Any) -> Any:
    """The same, with all floating-point numbers in float64."""
    if isinstance(value, Tensor):
        if value.is_complex():
            return value.to(torch.complex128)
        return value.to(torch.float64) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {k: to_double(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_double(v) for v in value]
    return value


def rehook(model: nn.Module, copied: nn.Module) -> dict[str, bool]:
    """Put hooks of parameters, which copying drops, on the copy; which have some, and whether all are there.

    Those that run after accumulation run on `.grad`, which nothing here fills.
    """
    found = {}
    for (name, p), q in zip(model.named_parameters(), copied.parameters(), strict=True):
        if not p.requires_grad:
            continue
        hooks = getattr(p, "_backward_hooks", None) or {}
        later = getattr(p, "_post_accumulate_grad_hooks", None) or {}
        for hook in hooks.values():
            q.register_hook(hook)  # type: ignore[no-untyped-call]
        if hooks or later:
            found[name] = not later
    return found
