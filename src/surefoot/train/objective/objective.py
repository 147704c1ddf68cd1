"""What a model is trained for: a loss, and the figure that a reader judges it by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.errors import InputError, a_kind, unknown
from surefoot.train.modes import evaluating
from surefoot.train.objective.classes import loss_of
from surefoot.train.objective.losses import (
    LOSSES,
    Loss,
    class_weights,
    cross_entropy,
    is_binary,
    is_distance,
    measured,
    of_classes,
    setting,
    squared_error,
    weigher,
)
from surefoot.train.objective.scoring import (
    Score,
    check_dimension,
    correct,
    moments,
    name_of,
    number,
    said,
    whole,
    wide,
)
from surefoot.train.progress import METRICS
from surefoot.train.rows.inputs import Inputs, called

__all__ = ["Objective", "evaluate"]


@dataclass(frozen=True)
class Objective:
    """A loss, and the metric that goes with its targets.

    Args:
        loss: (output, target) -> a scalar, the mean over the batch.
        metric: "accuracy" of class numbers, "r2" of measured targets, "loss", or the name of `score`.
        ignored: a class number that counts in neither, as in torch's cross entropy.
        score: a metric of the user's own: (outputs, targets) of all rows -> a number, the larger the better.
        autocast: entered around the model and the loss.
    """

    loss: Loss
    metric: str
    ignored: int = -100
    score: Score | None = None
    autocast: torch.autocast | None = None

    @classmethod
    def of(
        cls,
        loss: str | Loss | None,
        target: Tensor,
        metric: str | Score | None = None,
        autocast: torch.autocast | None = None,
    ) -> Objective:
        """The objective for a batch's `target`: integers are classes, floats are measured.

        Args:
            loss: its name, or a function; None goes by the targets.
            target: one target, or some.
            metric: one of `METRICS`, or a function; None goes by the targets, and is "loss" where, of
                measured targets, a loss of the user's own need not be a distance.
            autocast: entered around the model and the loss.

        Raises:
            InputError: no loss or metric by that name, one for other targets, or a loss that can't be called.
        """
        of_measures = measured(target)
        if is_binary(loss) and not of_measures:
            raise InputError(
                "The targets are integers or booleans, but the binary cross entropy requires floats, 0 for"
                " no and 1 for yes; give y.float()."
            )
        score = None
        if metric is not None and not isinstance(metric, str):
            score, metric = metric, name_of(metric)
        elif metric is None:
            known = loss is None or loss == "squared-error" or is_distance(loss)
            known &= not target.is_complex()
            metric = "accuracy" if not of_measures else "r2" if known else "loss"
        elif metric not in METRICS:
            raise unknown("metric", metric, METRICS)
        elif metric == ("accuracy" if of_measures else "r2"):
            kind = "measured" if of_measures else "classes"
            raise InputError(f"The metric {metric!r} does not fit the targets, which are {kind}.")
        if target.is_complex() and (loss is None or isinstance(loss, str)):
            raise InputError(
                "The targets are complex, and no named loss applies to them; give your own, such as"
                " loss=lambda output, target: (output - target).abs().square().mean()."
            )
        if loss is None:
            loss = squared_error if of_measures else cross_entropy
        elif isinstance(loss, str):
            if loss not in LOSSES:
                raise unknown("loss", loss, LOSSES)
            loss = LOSSES[loss]
        elif isinstance(loss, type) or not callable(loss):
            is_ = f"the class {loss.__name__}; create an instance" if isinstance(loss, type) else repr(loss)
            raise InputError(f"The loss must be a name or a function of (output, target), not {is_}.")
        ignored = setting(loss, "ignore_index")
        ignored = ignored if isinstance(ignored, int) else cls.ignored
        return cls(loss, metric, ignored, score, autocast)

    def weigher(self) -> Callable[[Tensor], Tensor]:
        """For a mean of batches' losses: targets -> what their loss weighs in it, on their device.

        That is as much as there are rows, or class numbers that are not ignored, or as the weights of their
        classes, where the loss is a mean by these.
        """

        def counted(target: Tensor) -> Tensor:
            if measured(target):
                return torch.full((), len(target), device=target.device)
            return (target != self.ignored).sum()

        return weigher(self.loss) or counted

    def even(self, targets: Tensor) -> bool:
        """Whether each of these targets weighs as much as any other, so that a batch weighs as its rows."""
        if measured(targets):
            return True
        return class_weights(self.loss) is None and not bool((targets == self.ignored).any())

    def weightless(self) -> Tensor | None:
        """The classes that weigh nothing in a mean by weights; None where each weighs something."""
        weight = class_weights(self.loss)
        if weight is None or weigher(self.loss) is None:
            return None
        found = weight.detach().eq(0).nonzero().flatten()
        return found if len(found) else None

    def ignoring(self) -> Callable[[Tensor], Tensor] | None:
        """Targets -> the same, those of classes that weigh nothing ignored; None where each weighs something.

        The loss is as it was, but that a batch of these alone has a gradient of 0, as one of ignored targets
        has, where torch's mean of nothing would have NaN.
        """
        classes = self.weightless()
        if classes is None:
            return None
        found, weigh = classes, self.weigher()
        # smoothed, such a row has a share in the other classes' losses, unless there is nothing to share by
        alone = bool(setting(self.loss, "label_smoothing"))

        def ignored(target: Tensor) -> Tensor:
            if measured(target):  # shares of classes, of which the mean is one over rows
                return target
            of_these = torch.isin(target, found.to(target.device))
            if alone:
                of_these = of_these & weigh(target).eq(0)
            return target.masked_fill(of_these, self.ignored)

        return ignored

    def measure(self, output: Tensor, target: Tensor) -> Any:
        """What a batch adds to the metric; of one of the user's own, outputs and targets.

        Raises:
            InputError: outputs and targets of which it cannot be told.
        """
        if self.score is not None:
            if not isinstance(output, Tensor):
                raise InputError(
                    f"{said(self.metric)} requires one tensor of all rows' outputs; the model"
                    f" returns {a_kind(output)}. With metric='loss' it is judged by its loss."
                )
            # of which numpy has none
            return output.float() if output.dtype == torch.bfloat16 else output, target
        if self.metric == "accuracy":
            if not of_classes(self.loss):
                check_dimension(output, target)
            return correct(output, target, self.ignored)
        return moments(output, target, target[:1]) if self.metric == "r2" else None


def evaluate(model: nn.Module, batches: Iterable[tuple[Inputs, Tensor]], objective: Objective) -> Tensor:
    """The loss and the metric over all rows of `batches`, with dropout off.

    accuracy = share of targets at which the largest output is, but for those that the loss ignores;
    R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean ȳ of each target taken over all rows, and both sums over all
    targets; a metric of the user's own is called once, with the outputs and targets of all rows. A batch's
    loss counts as much as the objective's weigher says.

    Args:
        model: left in the mode that it is in.
        batches: (inputs, targets), one after the other.
        objective: what is measured.

    Returns:
        (loss, metric, what all targets count: 0 where the loss ignores them), in float64 where the device has
        it, still on the device: nobody has waited for it.

    Raises:
        InputError: no rows, or a metric that cannot be told of these outputs and targets.
    """
    losses, parts, rows = [], [], 0
    weights: list[Tensor] = []
    right: list[Tensor] = []  # of how many it is told whether they are
    given: list[tuple[Tensor, Tensor]] = []
    weigh = objective.weigher()
    shift: Tensor | None = None  # a target near the mean, or Σy² − (Σy)²/n would lose all digits
    own = objective.loss
    with evaluating(model), evaluating(own) if isinstance(own, nn.Module) else nullcontext():
        for x, y in batches:
            with objective.autocast or nullcontext():
                output = called(model, x)
                loss = loss_of(objective.loss, output, y)
            loss = wide(loss)
            rows += len(x)
            weight = weigh(y)
            weights.append(wide(weight))
            loss = torch.where(weight > 0, loss, 0)  # of nothing, the mean is NaN
            if objective.score is not None:
                given.append(objective.measure(output, y))
            elif objective.metric == "accuracy":
                hits, counted = objective.measure(output, y)
                parts.append(hits)
                right.append(counted)
            elif objective.metric == "r2":
                shift = y[:1] if shift is None else shift
                parts.append(moments(output, y, shift))
            losses.append(loss * weights[-1])
        if objective.score is not None and rows:
            outputs, targets = (whole(objective.metric, list(ts)) for ts in zip(*given, strict=True))
            score = number(objective.metric, objective.score(outputs, targets))
    if not rows:
        raise InputError("The validation data hold no rows.")
    total = torch.stack(weights).sum()
    loss = torch.stack(losses).sum() / total
    if objective.score is not None:
        metric = loss.new_tensor(score)
    elif objective.metric == "accuracy":
        metric = torch.stack(parts).sum(0) / sum(right)
    elif objective.metric == "r2":
        sum_of = torch.stack(parts).sum(0)
        residual, squares, sums = sum_of[0].sum(), sum_of[1].sum(), sum_of[2]
        metric = 1 - residual / (squares - (sums**2).sum() / rows)
    else:
        metric = loss
    return torch.stack([loss, metric, total])
