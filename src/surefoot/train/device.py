"""Where a run computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from surefoot.errors import InputError

__all__ = ["describe", "move", "pick"]


def pick(name: str | torch.device = "auto") -> torch.device:
    """The device by that name; "auto" is cuda, mps or cpu, the first there is.

    Raises:
        InputError: no such device here.

    Example:
        >>> pick("cpu")
        device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise RuntimeError("it holds no numbers")
    except Exception as error:  # torch raises RuntimeError, AssertionError or NotImplementedError
        raise InputError(f"There is no device '{name}' here; auto would use {pick()}.") from error
    return device


def move(device: torch.device, *things: Any) -> None:
    """Move the modules among the things to the device: a model, and a loss with tensors of its own."""
    for thing in things:
        if isinstance(thing, nn.Module):
            thing.to(device)


def describe(device: torch.device, most: int = 1) -> str:
    """The device in a few words; `most`: threads that may share a step that one could take."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        if most > threads:
            return f"cpu, up to {most} threads"
        return f"cpu, {threads} thread{'s' * (threads > 1)}"
    return str(device)
