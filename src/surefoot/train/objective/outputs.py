"""Whether a model's outputs, the targets and the objective go together, asked before the first step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train.modes import looked_at
from surefoot.train.objective.classes import check_one_each, refuse, without_output
from surefoot.train.objective.losses import check_loss, is_distance, of_classes, of_squares, of_torch
from surefoot.train.objective.objective import Objective
from surefoot.train.rows.batch import Feed
from surefoot.train.rows.inputs import called

__all__ = ["check_objective"]


def check_objective(model: nn.Module, rows: Feed, valid: Feed | None, objective: Objective) -> None:
    """Raise an InputError for a loss or a metric that cannot be taken of these outputs and targets."""
    if rows.sample is None:
        return
    x, y = rows.sample[0].clone(), rows.sample[1].clone()
    try:
        with looked_at(model, x.device, objective.autocast):
            output = called(model, x)
    except Exception:
        return  # whatever is wrong will show in training
    check_one_each(objective.loss, output, y)
    for name, feed in (("", rows), (" to validate on", valid)):
        if feed is not None and feed.targets is not None:
            _check_classes(output, feed.targets(), feed.rows, objective, name)
    _check_shapes(output, y, objective)
    if of_torch(objective.loss):  # one of the user's own may note that it was called
        loss = None
        # that shows in training
        with suppress(Exception), torch.no_grad(), objective.autocast or nullcontext():
            loss = objective.loss(output, y)
        if loss is not None:
            check_loss(loss)
    if valid is not None:
        objective.measure(output, y)


def _check_shapes(output: Any, y: torch.Tensor, objective: Objective) -> None:
    """Raise an InputError for outputs and targets that torch's loss would spread over each other."""
    if not is_distance(objective.loss) or not isinstance(output, torch.Tensor) or output.shape == y.shape:
        return
    given, wanted = (
        f"({', '.join(['n', *map(str, t.shape[1:])])}{',' * (t.ndim == 1)})" for t in (output, y)
    )
    if output.numel() == y.numel():
        better = f"give them as y.reshape({', '.join(map(str, (-1, *output.shape[1:])))})"
        better += ", or loss='squared-error'" * of_squares(objective.loss)
    else:
        better = "give as many outputs as targets, or your own loss that broadcasts on purpose"
    raise InputError(
        f"The model returns shape {given}, but the targets have shape {wanted}; torch's loss would broadcast"
        f" them; {better}."
    )


def _check_classes(
    output: Any, targets: Iterable[torch.Tensor], rows: int, objective: Objective, name: str
) -> None:
    """Raise an InputError for a class number that the cross entropy has no output for."""
    if not of_classes(objective.loss) or not isinstance(output, torch.Tensor) or output.ndim < 2:
        return
    count, weightless, begun, all_ignored = output.shape[1], objective.weightless(), 0, True
    all_weightless, found = weightless is not None, set[int]()
    for part in targets:
        if part.is_floating_point() or part.is_complex():
            if part.shape[1:] == output.shape[1:]:
                return
            raise InputError(
                f"The cross entropy expects class numbers, or a probability for each of the {count:,}"
                f" classes; the targets{name} are floats of shape {(rows, *part.shape[1:])}. For class"
                " numbers, give y.long(); for a regression, loss='squared-error'."
            )
        ignored, wrong = part == objective.ignored, without_output(count, part, objective.ignored)
        # waiting for the device once
        any_wrong, of_none = torch.stack([wrong.any(), ignored.all()]).tolist()
        if any_wrong:
            refuse(count, part, wrong, name, begun)
        all_ignored &= of_none
        if weightless is not None and all_weightless:
            all_weightless = bool((torch.isin(part, weightless) | ignored).all())
            found.update(torch.unique(part[~ignored]).tolist())
        begun += len(part)
    if all_ignored:
        where = name or " to train on"
        raise InputError(f"All targets{where} are {objective.ignored}, which the loss ignores.")
    if all_weightless:
        few = ", ".join(map(str, sorted(found)[:10]))
        raise InputError(
            f"All targets{name or ' to train on'} belong to classes with weight 0 in the loss ({few}), so"
            " it is a mean over nothing; give a class that occurs among them a weight above 0."
        )
