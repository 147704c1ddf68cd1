"""Where a run computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.given import looked_at

__all__ = ["describe", "pick", "threads"]

# floating point operations of a step; below, threads wait for each other more than they work
_WORTH_SHARING = 1e8


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
        raise InputError(f"There is no device '{name}' here; auto would take {pick()}.") from error
    return device


def describe(device: torch.device) -> str:
    """The device in a few words."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'s' * (threads > 1)}"
    return str(device)


def threads(model: nn.Module, shape: Sequence[int], batch_size: int, validated: float = 0) -> int:
    """How many threads of the CPU a step is worth: one, unless its matrix products are large.

    A count, not a measurement: results depend on the number of threads, so one seed must always get the same.

    Args:
        model: to be trained, on the CPU.
        shape: the shape of one input.
        batch_size: rows in a step.
        validated: rows that validation goes through for each step, on average.
    """
    work = 0

    def count(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal work
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            work += 2 * output.numel() * weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    x = torch.zeros(1, *shape)
    try:
        with looked_at(model, x.device):
            model(x)
    except Exception:  # what is wrong with the model will show when it trains
        work = 0
    finally:
        for hook in hooks:
            hook.remove()
    # forward once, backward twice as much; a model that cannot be counted keeps torch's choice
    small = 0 < work * (3 * batch_size + validated) < _WORTH_SHARING
    return 1 if small else torch.get_num_threads()
