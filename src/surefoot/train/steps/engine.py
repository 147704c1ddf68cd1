"""One training step."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.errors import InputError, a_kind, headline
from surefoot.train.objective.classes import loss_of
from surefoot.train.objective.losses import (
    Loss,
    check_differentiable,
    check_loss,
    measured,
    of_torch,
    summed,
    weigher,
)
from surefoot.train.rows.inputs import Inputs, called
from surefoot.train.steps import clipping, products
from surefoot.train.steps.mean import Part, warn_unless_mean

__all__ = ["Job", "Step", "eager", "parts", "weighted"]

# What Tensor.backward calls after 15 µs of Python, a tenth of a small model's step; private in torch.
_run_backward = getattr(getattr(torch.autograd.Variable, "_execution_engine", None), "run_backward", None)


class Step(Protocol):
    """What takes a batch a step further; it may wait for more batches, to take their steps at once."""

    def __call__(self, x: Any, y: Tensor) -> Tensor:
        """(inputs, targets) -> the batch's loss, detached and still on the device; a number when `whole`."""

    @property
    def whole(self) -> bool:
        """Whether no batch waits: only then are the losses, the weights and the optimizer up to date."""

    def flush(self) -> None:
        """Take the steps of the batches that wait."""


@dataclass(frozen=True)
class Job:
    """What a training step does, and on what.

    Args:
        model: what to train.
        loss: (output, target) -> a scalar.
        optimizer: over the model's parameters.
        clip: the gradient's largest norm, over all parameters together.
        autocast: entered around the forward pass and the loss.
        accumulate: how many parts of its rows a batch is taken in, one after the other.
        most: how many threads may share a step, if no bit of it depends on their number.
    """

    model: nn.Module
    loss: Loss
    optimizer: Optimizer
    clip: float | None = None
    autocast: torch.autocast | None = None
    accumulate: int = 1
    most: int = 1

    def copied(self) -> Job:
        """A copy that can take steps without a trace in the original, but for what a function closes over."""
        model, loss, optimizer = copy.deepcopy((self.model, self.loss, self.optimizer))
        return replace(self, model=model, loss=loss, optimizer=optimizer)


class _Eager:
    """One step at a time: nothing ever waits."""

    whole = True

    def __init__(self, step: Callable[[Inputs, Tensor], Tensor]) -> None:
        self._step = step

    def __call__(self, x: Inputs, y: Tensor) -> Tensor:
        return self._step(x, y)

    def flush(self) -> None:
        pass


def eager(job: Job) -> Step:
    """The step as it is written: forward, loss, backward, update; nothing waits for the device.

    With `accumulate` the gradient is the sum of its parts', weighted by their rows: Σ nᵢ/n · ∇ lossᵢ.
    """
    model, loss, optimizer = job.model, job.loss, job.optimizer
    clip, autocast, accumulate = job.clip, job.autocast, job.accumulate
    params = [p for group in optimizer.param_groups for p in group["params"]]
    unproven = accumulate > 1  # that the loss is a mean over the rows
    weigh, by_sums = weigher(loss), summed(loss)
    trained = set(map(id, params))
    held = [*model.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else ())]
    # those that no optimizer has, too: nobody steps them, and nobody would clear their gradients
    cleared = (*params, *(p for p in held if p.requires_grad and id(p) not in trained))
    around = autocast or nullcontext()

    def valued(output: Any, y: Tensor, of_part: Loss) -> Tensor:
        try:
            return loss_of(of_part, output, y)
        except TypeError as error:
            if isinstance(output, Tensor) or not of_torch(loss):
                raise
            kind = a_kind(output)
            raise InputError(
                f"The model returns {kind}, which the loss does not accept ({headline(error)});"
                " let forward return one tensor, or give a loss that accepts what the model returns."
            ) from error

    def forward(x: Inputs, y: Tensor, of_part: Loss = loss) -> tuple[Any, Tensor]:
        with around:
            output = called(model, x)
            return output, valued(output, y, of_part)

    def in_parts(x: Inputs, y: Tensor) -> Tensor:
        nonlocal unproven
        found, losses = [], []
        of_part = loss if by_sums is None or measured(y) else by_sums
        for xs, ys, share in parts(x, y, accumulate, weigh, sums=of_part is by_sums):
            output, value = forward(xs, ys, of_part)
            value = weighted(value, share)
            differs = unproven and isinstance(output, Tensor) and output.requires_grad
            if differs:
                output.retain_grad()
            _backward(value)
            losses.append(value.detach())
            if unproven:
                kept = output.detach() if isinstance(output, Tensor) else output
                found.append(Part(kept, output.grad if differs else None))
        total = torch.stack(losses).sum()
        if unproven:
            unproven = False
            with around:
                warn_unless_mean(loss, found, y, float(total))
        return total

    def gradient(x: Inputs, y: Tensor) -> Tensor:
        for p in cleared:
            p.grad = None
        if accumulate == 1:
            _, value = forward(x, y)
            _backward(value)
        else:
            value = in_parts(x, y)
        if clip is not None:
            clipping.clip(params, clip)
        return value.detach()

    def step(x: Inputs, y: Tensor) -> Tensor:
        value = gradient(x, y)
        optimizer.step()
        return value

    def step_with_closure(x: Inputs, y: Tensor) -> Tensor:
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


def _backward(value: Tensor) -> None:
    """What value.backward() does, without its look for what a plain number is not."""
    if _run_backward is None or type(value) is not Tensor or value.ndim or not value.is_floating_point():
        check_loss(value)
        check_differentiable(value)
        value.backward()  # type: ignore[no-untyped-call]
        return
    if not value.requires_grad:
        check_differentiable(value)
    one = torch.ones_like(value)
    products.run(
        lambda: _run_backward(
            (value,), (one,), False, False, (), allow_unreachable=True, accumulate_grad=True
        )
    )


def parts(
    x: Inputs,
    y: Tensor,
    count: int,
    weigh: Callable[[Tensor], Tensor] | None = None,
    *,
    sums: bool = False,
) -> Iterator[tuple[Inputs, Tensor, float | Tensor]]:
    """The batch in `count` parts as equal as can be, none empty, each with its share of the loss.

    That is its share of the rows, or of what `weigh` says that targets weigh. With `sums` a part's loss is no
    mean but a sum, and its share is one by all that the batch weighs.

    Example:
        >>> x = torch.arange(5)
        >>> [(xs.tolist(), share) for xs, _, share in parts(x, x, 2)]
        [([0, 1, 2], 0.6), ([3, 4], 0.4)]
        >>> [xs.tolist() for xs, _, _ in parts(x[:2], x[:2], 3)]  # a last, shorter batch
        [[0], [1]]
    """
    count = min(count, len(x))
    whole = len(x) if weigh is None else weigh(y)
    split: Sequence[Inputs] = x.tensor_split(count)
    each = whole.where(whole > 0, torch.inf).reciprocal() if sums and isinstance(whole, Tensor) else None
    for xs, ys in zip(split, y.tensor_split(count), strict=True):
        if each is not None:
            yield xs, ys, each
            continue
        yield xs, ys, (len(xs) if weigh is None else weigh(ys)) / whole


def weighted(value: Tensor, share: float | Tensor) -> Tensor:
    """A part's loss by its share; nothing where that is nothing, of which the mean is NaN, or of nothing."""
    if not isinstance(share, Tensor):
        return value * share
    return value.where(share > 0, 0.0) * share.where(share > 0, 0.0).to(value.dtype)
