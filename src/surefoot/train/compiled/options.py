"""What of an optimizer is a constant of a compiled step, and which hooks such a step would not call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["STATIC", "constants", "hooked"]

# lr and the size of momentum are inputs
STATIC = ("dampening", "weight_decay", "nesterov", "maximize", "decoupled_weight_decay")


def constants(groups: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """What a program holds of each group: its options, and whether there is momentum at all."""
    return [[group["momentum"] != 0, *(float(group.get(name, 0)) for name in STATIC)] for group in groups]


def hooked(model: nn.Module, optimizer: Optimizer) -> str | None:
    """What of the model or the optimizer has hooks, which a compiled step would not call; None if nothing."""
    if (
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
    ):
        return "its optimizer"
    for name, module in model.named_modules():
        if (
            module._forward_hooks
            or module._forward_pre_hooks
            or module._backward_hooks
            or module._backward_pre_hooks
        ):
            return f"its module '{name}'" if name else "its model"
    for name, p in model.named_parameters():
        if p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None):
            return f"its parameter '{name}'"
    return None
