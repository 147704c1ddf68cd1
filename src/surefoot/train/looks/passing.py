"""What passes through a model's parts when it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from surefoot.train.modes import looked_at
from surefoot.train.rows.inputs import Inputs, called

__all__ = ["passed"]


def passed(
    model: nn.Module,
    x: Inputs,
    note: Callable[[nn.Module, Any], None],
    autocast: torch.autocast | None = None,
) -> bool:
    """Call the model as an evaluation does, and `note` with each part and its output.

    Returns:
        Whether that went well: what is wrong with the model will show when it trains.
    """
    # it would be compiled anew for these rows, and with the hooks
    if any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules()):
        return False
    hooks: list[Any] = []
    try:
        for module in model.modules():  # a scripted one refuses
            hooks.append(module.register_forward_hook(lambda module, _, output: note(module, output)))
        with looked_at(model, x.device, autocast):
            called(model, x.clone())  # some write into it
    except (Exception, SystemExit):
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return True
