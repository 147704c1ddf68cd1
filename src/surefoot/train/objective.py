"""What a model is trained for: a loss, and the figure that a reader judges it by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.errors import InputError, unknown
from surefoot.train.losses import (
    LOSSES,
    Loss,
    cross_entropy,
    flat,
    is_distance,
    measured,
    of_classes,
    squared_error,
    weigher,
)
from surefoot.train.modes import evaluating
from surefoot.train.progress import METRICS

__all__ = ["Objective", "evaluate"]


@dataclass(frozen=True)
class Objective:
    """A loss, and the metric that goes with its targets.

    Args:
        loss: (output, target) -> a scalar, the mean over the batch.
        metric: "accuracy" of class numbers, "r2" of measured targets, or "loss": there is no other.
        ignored: a class number that counts in neither, as in torch's cross entropy.
    """

    loss: Loss
    metric: str
    ignored: int = -100

    @classmethod
    def of(cls, loss: str | Loss | None, target: Tensor, metric: str | None = None) -> Objective:
        """The objective for a batch's `target`: integers are classes, floats are measured.

        Args:
            loss: its name, or a function; None goes by the targets.
            target: one target, or some.
            metric: one of `METRICS`; None goes by the targets, and is "loss" where, of measured targets, a
                loss of the user's own need not be a distance.

        Raises:
            InputError: no loss or metric by that name, one for other targets, or a loss that can't be called.
        """
        of_measures = measured(target)
        if metric is None:
            known = loss is None or loss == "squared-error" or is_distance(loss)
            known &= not target.is_complex()
            metric = "accuracy" if not of_measures else "r2" if known else "loss"
        elif callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            raise InputError(
                f"The metric is one of {', '.join(map(repr, METRICS))}, or None for that which goes with the"
                f" targets; functions, as {name}, are not taken."
            )
        elif metric not in METRICS:
            raise unknown("metric", str(metric), METRICS)
        elif metric == ("accuracy" if of_measures else "r2"):
            kind = "measured" if of_measures else "classes"
            raise InputError(f"The metric {metric!r} is for other targets: these are {kind}.")
        if target.is_complex() and (loss is None or isinstance(loss, str)):
            raise InputError(
                "The targets are complex numbers, for which no loss has a name; give one, such as"
                " loss=lambda output, target: (output - target).abs().square().mean()."
            )
        if loss is None:
            loss = squared_error if of_measures else cross_entropy
        elif isinstance(loss, str):
            if loss not in LOSSES:
                raise unknown("loss", loss, LOSSES)
            loss = LOSSES[loss]
        elif isinstance(loss, type) or not callable(loss):
            is_ = f"the class {loss.__name__}; make one of it" if isinstance(loss, type) else repr(loss)
            raise InputError(f"The loss is a name or a function of (output, target), not {is_}.")
        given = getattr(loss, "keywords", {}).get("ignore_index", cls.ignored)  # a partial's
        ignored = getattr(loss, "ignore_index", given)
        return cls(loss, metric, ignored if isinstance(ignored, int) else cls.ignored)

    @property
    def squares(self) -> bool:
        """Whether the loss grows with the square of targets, and its gradients with them."""
        return self.loss in (squared_error, functional.mse_loss) or isinstance(self.loss, nn.MSELoss)

    def measure(self, output: Tensor, target: Tensor) -> Any:
        """What a batch adds to the metric.

        Raises:
            InputError: outputs and targets of which it cannot be told.
        """
        if self.metric == "accuracy":
            if not of_classes(getattr(self.loss, "func", self.loss)):  # a partial's
                _check_dimension(output, target)
            return _correct(output, target, self.ignored)
        return _moments(output, target, target[:1]) if self.metric == "r2" else None


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], objective: Objective) -> Tensor:
    """The loss and the metric over all rows of `batches`, with dropout off.

    accuracy = share of targets at which the largest output is, but for those that the loss ignores;
    R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean ȳ of each target taken over all rows, and both sums over all
    targets. A batch's loss counts as often as it has rows, or class numbers that are not ignored, or as much
    as the weights of their classes, where it is a mean by these.

    Args:
        model: left in the mode that it is in.
        batches: (inputs, targets), one after the other.
        objective: what is measured.

    Returns:
        (loss, metric), in float64 where the device has it, still on the device: nobody has waited for it.

    Raises:
        InputError: no rows, or a metric that cannot be told of these outputs and targets.
    """
    losses, parts, rows = [], [], 0
    weights: list[Tensor] = []
    right: list[Tensor] = []  # of how many it is told whether they are
    weigh = weigher(objective.loss)
    shift: Tensor | None = None  # a target near the mean, or Σy² − (Σy)²/n would lose all digits
    with evaluating(model):
        for x, y in batches:
            output = model(x)
            loss = _wide(objective.loss(output, y))
            rows += len(x)
            if weigh is not None:
                weight = weigh(y)
            elif measured(y):
                weight = torch.full((), len(x), device=loss.device)
            else:
                weight = (y != objective.ignored).sum()
            weights.append(_wide(weight))
            loss = torch.where(weight > 0, loss, 0)  # of nothing, the mean is NaN
            if objective.metric == "accuracy":
                correct, counted = objective.measure(output, y)
                parts.append(correct)
                right.append(counted)
            if objective.metric == "r2":
                shift = y[:1] if shift is None else shift
                parts.append(_moments(output, y, shift))
            losses.append(loss * weights[-1])
    if not rows:
        raise InputError("The validation data hold no rows.")
    loss = torch.stack(losses).sum() / sum(weights)
    if objective.metric == "accuracy":
        metric = torch.stack(parts).sum(0) / sum(right)
    elif objective.metric == "r2":
        total = torch.stack(parts).sum(0)
        residual, squares, sums = total[0].sum(), total[1].sum(), total[2]
        metric = 1 - residual / (squares - (sums**2).sum() / rows)
    else:
        metric = loss
    return torch.stack([loss, metric])


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.device.type == "mps" else values.double()


def _correct(output: Tensor, target: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    """How many targets are at the largest output, and of how many; output (n, classes, …), target (n, …)."""
    if not isinstance(output, Tensor):
        raise InputError(
            f"Accuracy is told from one tensor, (rows, classes); the model gives a {type(output).__name__}."
            " With metric='loss' it is judged by its loss."
        )
    target = flat(output, target)
    if output.ndim < 2 or output.shape[1] < 2 or output.select(1, 0).shape != target.shape:
        hint = "; of rows with a 1 for their class, give y.argmax(1)" if target.shape == output.shape else ""
        raise InputError(
            f"The model gives {tuple(output.shape)} where the targets are classes {tuple(target.shape)};"
            " accuracy needs an output for each class. Give it as many, or metric='loss'; for a regression,"
            f" give the targets as floats{hint}."
        )
    counted = target != ignored
    return _wide(((output.argmax(1) == target) & counted).sum()), counted.sum()


def _check_dimension(output: Any, target: Tensor) -> None:
    """Raise an InputError where classes may be in dimension 1, as for torch's losses, or in the last."""
    if not isinstance(output, Tensor) or output.ndim < 3 or output.shape[:-1] != target.shape:
        return
    if output.shape[1] == output.shape[-1]:
        raise InputError(
            f"Accuracy cannot be told of outputs (n, {', '.join(map(str, output.shape[1:]))}) with a loss of"
            " your own, which may take dimension 1 or the last for the classes; with metric='loss' the model"
            " is judged by its loss, or give the classes in dimension 1 and a cross entropy of torch's."
        )


def _moments(output: Tensor, target: Tensor, shift: Tensor) -> Tensor:
    """Of each target, less its shift: squared residuals, squares and sum; (3, targets)."""
    if not isinstance(output, Tensor) or output.numel() != target.numel():
        given = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        wanted = tuple(target.shape)
        raise InputError(
            f"R² needs an output for each target, {wanted}; the model gives {given}. With metric='loss' it is"
            " judged by its loss."
        )
    y = _wide(target.reshape(len(target), -1))
    residual = y - _wide(output.reshape(y.shape))
    y = y - _wide(shift.reshape(1, -1))
    return torch.stack([(residual**2).sum(0), (y**2).sum(0), y.sum(0)])
