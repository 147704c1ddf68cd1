"""What a model is trained for: a loss, and the figure that a reader judges it by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.errors import InputError, unknown

__all__ = ["LOSSES", "Loss", "Objective", "evaluate"]

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the rows of −log softmax(output)[target]; output (n, classes), target (n,) class numbers."""
    return functional.cross_entropy(output, _flat(output, target))


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (output − target)²; both with the same number of values."""
    if output.numel() != target.numel():
        raise InputError(
            f"The model gives {tuple(output.shape)} where the targets are {tuple(target.shape)}; "
            f"a regression needs as many outputs as targets."
        )
    return functional.mse_loss(output.reshape(target.shape), target)


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "squared-error": squared_error}


@dataclass(frozen=True)
class Objective:
    """A loss, and the metric that goes with its targets.

    Args:
        loss: (output, target) -> a scalar, the mean over the batch.
        metric: "accuracy" for class numbers, "r2" for targets that are measured.
    """

    loss: Loss
    metric: str

    @classmethod
    def of(cls, loss: str | Loss | None, target: Tensor) -> Objective:
        """The objective for a batch's `target`: integers are classes, floats are measured.

        Raises:
            InputError: no loss by that name, or none that can be called.
        """
        metric = "r2" if target.is_floating_point() else "accuracy"
        if loss is None:
            loss = squared_error if metric == "r2" else cross_entropy
        elif isinstance(loss, str):
            if loss not in LOSSES:
                raise unknown("loss", loss, LOSSES)
            loss = LOSSES[loss]
        elif isinstance(loss, type) or not callable(loss):
            is_ = f"the class {loss.__name__}; make one of it" if isinstance(loss, type) else repr(loss)
            raise InputError(f"The loss is a name or a function of (output, target), not {is_}.")
        return cls(loss, metric)


@torch.no_grad()  # not inference_mode: a model may keep a tensor that it makes
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], objective: Objective) -> Tensor:
    """The loss and the metric over all rows of `batches`, with dropout off.

    accuracy = share of targets at which the largest output is; R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean ȳ
    of each target taken over all rows, and both sums over all targets.

    Returns:
        (loss, metric), in float64 where the device has it, still on the device: nobody has waited for it.
    """
    training = model.training
    model.eval()
    losses, rows, targets, parts = [], 0, 0, []
    shift: Tensor | None = None  # a target near the mean, or Σy² − (Σy)²/n would lose all digits
    try:
        for x, y in batches:
            output = model(x)
            losses.append(_wide(objective.loss(output, y)) * len(x))
            rows, targets = rows + len(x), targets + y.numel()
            if objective.metric == "accuracy":
                parts.append(_correct(output, y))
            else:
                shift = y[:1] if shift is None else shift
                parts.append(_moments(output, y, shift))
    finally:
        model.train(training)
    if not rows:
        raise InputError("The validation data hold no rows.")
    total = torch.stack(parts).sum(0)
    if objective.metric == "accuracy":
        metric = total / targets
    else:
        residual, squares, sums = total[0].sum(), total[1].sum(), total[2]
        metric = 1 - residual / (squares - (sums**2).sum() / rows)
    return torch.stack([torch.stack(losses).sum() / rows, metric])


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.device.type == "mps" else values.double()


def _correct(output: Tensor, target: Tensor) -> Tensor:
    """How many targets are where the largest output is; output (n, classes, …), target (n, …)."""
    if not isinstance(output, Tensor):
        raise InputError(
            f"Accuracy is told from one tensor, (rows, classes); the model gives a {type(output).__name__}."
        )
    target = _flat(output, target)
    if output.ndim < 2 or output.shape[1] < 2 or output.select(1, 0).shape != target.shape:
        raise InputError(
            f"The model gives {tuple(output.shape)} where the targets are classes {tuple(target.shape)};"
            " accuracy needs an output for each class: give it as many, or give the targets as floats."
        )
    return _wide((output.argmax(1) == target).sum())


def _flat(output: Tensor, target: Tensor) -> Tensor:
    """Class numbers (n, 1), a column of a table, as (n,)."""
    column = target.ndim == 2 and target.shape[1] == 1
    return target.squeeze(1) if column and isinstance(output, Tensor) and output.ndim == 2 else target


def _moments(output: Tensor, target: Tensor, shift: Tensor) -> Tensor:
    """Of each target, less its shift: squared residuals, squares and sum; (3, targets)."""
    if not isinstance(output, Tensor) or output.numel() != target.numel():
        given = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        wanted = tuple(target.shape)
        raise InputError(f"R² needs an output for each target, {wanted}; the model gives {given}.")
    y = _wide(target.reshape(len(target), -1))
    residual = y - _wide(output.reshape(y.shape))
    y = y - _wide(shift.reshape(1, -1))
    return torch.stack([(residual**2).sum(0), (y**2).sum(0), y.sum(0)])
