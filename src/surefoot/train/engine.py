"""One training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.train.objective import Loss

__all__ = ["Step", "eager"]


class Step(Protocol):
    """What takes a batch a step further; it may wait for more batches, to take their steps at once."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(inputs, targets) -> the batch's loss, detached and still on the device; a number when `whole`."""

    @property
    def whole(self) -> bool:
        """Whether no batch waits: only then are the losses, the weights and the optimizer up to date."""

    def flush(self) -> None:
        """Take the steps of the batches that wait."""


class _Eager:
    """One step at a time: nothing ever waits."""

    whole = True

    def __init__(self, step: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._step = step

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self._step(x, y)

    def flush(self) -> None:
        pass


def eager(
    model: nn.Module,
    loss: Loss,
    optimizer: Optimizer,
    *,
    clip: float | None = None,
    autocast: torch.autocast | None = None,
) -> Step:
    """The step as it is written: forward, loss, backward, update; nothing waits for the device.

    Args:
        model: what to train.
        loss: (output, target) -> a scalar.
        optimizer: over the model's parameters.
        clip: the gradient's largest norm, over all parameters together.
        autocast: entered around the forward pass and the loss.
    """
    params = [p for group in optimizer.param_groups for p in group["params"]]

    def gradient(x: Tensor, y: Tensor) -> Tensor:
        for p in params:
            p.grad = None
        if autocast is None:
            value = loss(model(x), y)
        else:
            with autocast:
                value = loss(model(x), y)
        value.backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(params, clip)
        return value.detach()

    def step(x: Tensor, y: Tensor) -> Tensor:
        value = gradient(x, y)
        optimizer.step()
        return value

    def step_with_closure(x: Tensor, y: Tensor) -> Tensor:
        first: list[Tensor] = []

        def closure() -> Tensor:
            with torch.enable_grad():
                first.append(gradient(x, y))
            return first[-1]

        optimizer.step(closure)  # type: ignore[arg-type]
        return first[0]

    closure = inspect.signature(optimizer.step).parameters.get("closure")
    # LBFGS and its kin cannot do without
    return _Eager(step_with_closure if closure and closure.default is closure.empty else step)
