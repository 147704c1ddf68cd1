"""What a model is trained for: a loss, and the figure that a reader judges it by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.errors import InputError, unknown
from surefoot.train.modes import evaluating

__all__ = ["LOSSES", "METRICS", "Loss", "Objective", "check_loss", "evaluate"]

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
METRICS = ("accuracy", "r2", "loss")
# losses of torch whose outputs are guesses at the targets themselves, so that R² can be told from them
_DISTANCES = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    functional.mse_loss,
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
)


def check_loss(value: Any) -> None:
    """Raise an InputError for what is no loss: a scalar tensor."""
    if not isinstance(value, Tensor):
        raise InputError(
            f"The loss gives a {type(value).__name__}; it must give a tensor, to be differentiated."
        )
    if value.ndim:
        raise InputError(
            f"The loss gives a tensor of shape {tuple(value.shape)}; it must give a scalar, as the mean over"
            " the batch is."
        )


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
        measured = target.is_floating_point()
        if metric is None:
            known = loss is None or isinstance(loss, str) or loss in _DISTANCES or type(loss) in _DISTANCES
            metric = "accuracy" if not measured else "r2" if known else "loss"
        elif metric not in METRICS:
            raise unknown("metric", str(metric), METRICS)
        elif metric == ("accuracy" if measured else "r2"):
            kind = "measured" if measured else "classes"
            raise InputError(f"The metric {metric!r} is for other targets: these are {kind}.")
        if loss is None:
            loss = squared_error if measured else cross_entropy
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
    def of_torch(self) -> bool:
        """Whether the loss is one of torch's, or of those that have a name here."""
        home = getattr(self.loss, "__module__", "") if not isinstance(self.loss, nn.Module) else ""
        return home.startswith(("torch.", __name__)) or type(self.loss).__module__.startswith("torch.nn.")

    @property
    def squares(self) -> bool:
        """Whether the loss grows with the square of targets, and its gradients with them."""
        return self.loss in (squared_error, functional.mse_loss) or isinstance(self.loss, nn.MSELoss)

    @property
    def of_classes(self) -> bool:
        """Whether the loss is a cross entropy, for which each class has an output."""
        losses = (nn.CrossEntropyLoss, nn.NLLLoss, functional.cross_entropy, functional.nll_loss)
        return self.loss is cross_entropy or self.loss in losses or type(self.loss) in losses

    def measure(self, output: Tensor, target: Tensor) -> Any:
        """What a batch adds to the metric.

        Raises:
            InputError: outputs and targets of which it cannot be told.
        """
        if self.metric == "accuracy":
            return _correct(output, target, self.ignored)
        return _moments(output, target, target[:1]) if self.metric == "r2" else None


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], objective: Objective) -> Tensor:
    """The loss and the metric over all rows of `batches`, with dropout off.

    accuracy = share of targets at which the largest output is, but for those that the loss ignores;
    R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean ȳ of each target taken over all rows, and both sums over all
    targets. A batch's loss counts as often as it has rows, or class numbers that are not ignored.

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
    weights: list[Tensor | int] = []
    shift: Tensor | None = None  # a target near the mean, or Σy² − (Σy)²/n would lose all digits
    with evaluating(model):
        for x, y in batches:
            output = model(x)
            loss = _wide(objective.loss(output, y))
            rows += len(x)
            if objective.metric == "accuracy":
                correct, counted = objective.measure(output, y)
                loss = torch.where(counted > 0, loss, 0)  # of nothing, the mean is NaN
                parts.append(correct)
                weights.append(counted)
            else:
                weights.append(len(x))
            if objective.metric == "r2":
                shift = y[:1] if shift is None else shift
                parts.append(_moments(output, y, shift))
            losses.append(loss * weights[-1])
    if not rows:
        raise InputError("The validation data hold no rows.")
    loss = torch.stack(losses).sum() / sum(weights)
    if objective.metric == "accuracy":
        metric = torch.stack(parts).sum(0) / sum(weights)
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
    target = _flat(output, target)
    if output.ndim < 2 or output.shape[1] < 2 or output.select(1, 0).shape != target.shape:
        raise InputError(
            f"The model gives {tuple(output.shape)} where the targets are classes {tuple(target.shape)};"
            " accuracy needs an output for each class. Give it as many, or metric='loss'; for a regression,"
            " give the targets as floats."
        )
    counted = target != ignored
    return _wide(((output.argmax(1) == target) & counted).sum()), counted.sum()


def _flat(output: Tensor, target: Tensor) -> Tensor:
    """Class numbers (n, 1), a column of a table, as (n,)."""
    column = target.ndim == 2 and target.shape[1] == 1
    return target.squeeze(1) if column and isinstance(output, Tensor) and output.ndim == 2 else target


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
