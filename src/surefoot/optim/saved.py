"""What the checkpoint of another optimizer, or of another version, lacks or says otherwise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from surefoot.optim.kernels import SHORT
from surefoot.optim.options import Options, as_dtype, keep_on_device
from surefoot.optim.state import BUFFER, LOST

__all__ = ["adopt", "dtype_of_loaded"]

# What an older torch lacks in its checkpoints was off; what only surefoot has stays as this optimizer has it.
_OFF = {"nesterov": False, "maximize": False, "foreach": None, "fused": None, "differentiable": False}


def adopt(state: dict[str, Any], own_groups: list[dict[str, Any]]) -> None:
    """Give the groups of unpickled or loaded state the options that they lack.

    Raises:
        ValueError: for another optimizer's, and for buffers that another convention has filled.
    """
    for own, group in zip(own_groups, state["param_groups"], strict=True):
        if group["params"] and not {"momentum", "dampening"} <= group.keys():
            raise ValueError(
                "this checkpoint is from another optimizer: one of its groups has"
                f" {', '.join(sorted(group.keys() - {'params'})) or 'no options'}, and no momentum"
            )
        saved = group.get("convention", "torch")
        entries = (entry for entry in state["state"].values() if isinstance(entry, dict))
        buffers = any(getattr(b := entry.get(BUFFER), "value", b) is not None for entry in entries)
        if saved != own.get("convention", saved) and buffers:
            raise ValueError(
                f"this checkpoint uses convention={saved!r}, this optimizer "
                f"{own['convention']!r}; build the optimizer with convention={saved!r}"
            )
        for name, default in Options._field_defaults.items():
            group.setdefault(name, _OFF.get(name, own.get(name, default)))
        group["state_dtype"] = as_dtype(group["state_dtype"])
        keep_on_device(group)


def dtype_of_loaded(key: str, value: Tensor, p: Tensor, group: dict[str, Any], foreign: bool) -> torch.dtype:
    """What a loaded tensor of p's state is to be; `foreign` if its writer knows no state_dtype."""
    wish: torch.dtype | None = group["state_dtype"]
    if key not in (BUFFER, LOST):
        return value.dtype
    if wish is None and group["kahan"] and p.dtype in SHORT:
        return torch.float32
    if wish is not None and foreign:
        return wish.to_complex() if p.is_complex() else wish
    if wish is None and not (p.dtype in SHORT and torch.promote_types(value.dtype, p.dtype) == value.dtype):
        return p.dtype
    return value.dtype
