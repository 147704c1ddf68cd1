"""What a run works on: its rows and its objective, looked at before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.train.config import Config
from surefoot.train.looks.advice import of_targets, scales_itself
from surefoot.train.looks.checks import check_rows, of_one_kind
from surefoot.train.objective.losses import Loss, measured, warn_of_sum
from surefoot.train.objective.objective import Objective
from surefoot.train.objective.outputs import check_objective
from surefoot.train.objective.scoring import Score
from surefoot.train.rows.batch import Batches, Feed, copied, retargeted, unwritten, watched
from surefoot.train.rows.feed import feed, floats
from surefoot.train.rows.identity import told
from surefoot.train.rows.inputs import Inputs
from surefoot.train.rows.portions import at_once, evenly

__all__ = ["Material", "material"]


@dataclass(frozen=True)
class Material:
    """What a run works on.

    Args:
        rows: to train on.
        valid: to validate on, if any.
        objective: what is minimised, and what a validation is judged by.
        compared: gives training rows, as many as are validated on, for the metric on both; None where it is
            not told.
        marks: what tells this material from another's, by what it is called.
        weigh: targets of a batch to train on -> what its loss weighs in the mean over an epoch; None where
            that is known to be its rows.
    """

    rows: Feed
    valid: Feed | None
    objective: Objective
    compared: Callable[[], Batches] | None
    marks: dict[str, Callable[[], str]]
    weigh: Callable[[Tensor], Tensor] | None

    @property
    def generators(self) -> list[torch.Generator]:
        """Of its DataLoaders, each once."""
        feeds = [f for f in (self.rows, self.valid) if f is not None]
        return list({id(g): g for f in feeds for g in f.generators}.values())

    @property
    def seen(self) -> tuple[Inputs | None, int, int]:
        """Inputs as the model gets them, if any are at hand; how many rows train, and how many validate."""
        x = None if self.rows.sample is None else self.rows.sample[0]
        return x, self.rows.rows, 0 if self.valid is None else self.valid.rows

    def advice(self, model: nn.Module) -> list[str]:
        """Lines for the user on rows by which few models learn, if these are such."""
        inputs = None if self.rows.advice is None or scales_itself(model) else self.rows.advice()
        targets = () if self.rows.targets is None else self.rows.targets()
        return [line for line in (inputs, of_targets(targets, self.objective)) if line is not None]

    def flaw(self) -> str | None:
        """What is wrong with the numbers of the rows, if anything is and they are at hand."""
        missing, huge = self.rows.flaw() if self.rows.flaw is not None else (None, None)
        if not missing and self.valid is not None and self.valid.flaw is not None:
            missing = self.valid.flaw()[0]
            missing = missing and f"in the validation rows, {missing}"
        return missing or huge

    def not_finite(self, step: int) -> str | None:
        """What NaN or inf is known to have been in a step's batch."""
        return None if self.rows.seen is None else self.rows.seen(step)

    def batch(self, size: int) -> tuple[Inputs, Tensor] | None:
        """The first full batch that weighs anything; None where there is none, or rows are not at hand.

        A copy: it is to be tried on, by a model that may write into its inputs.
        """
        whole, ignoring = self.rows.rows // size * size, self.objective.ignoring()
        for x, y in self.rows.first(whole, size) if self.rows.first is not None and whole else ():
            if self.weigh is None or bool(self.weigh(y) > 0):
                return x.clone(), y.clone() if ignoring is None else ignoring(y)
        return None


def material(
    model: nn.Module,
    train: Any,
    valid: Any,
    config: Config,
    *,
    loss: str | Loss | None,
    metric: str | Score | None,
    scaling: Callable[[Tensor], Tensor] | None,
    device: torch.device,
) -> Material:
    """Feeds of the rows and the objective that fits them.

    Args:
        model: to be trained, on its device and in training mode.
        train: rows to train on, in any form that `fit` takes.
        valid: rows to validate on, or None.
        config: of the run.
        loss: as for `fit`.
        metric: as for `fit`.
        scaling: applied to the inputs.
        device: where batches go.

    Raises:
        InputError: what would fail late, or train nothing without a word.
    """
    fed = partial(feed, device=device, scaling=scaling, floats=floats(model))
    rows = fed(train, config.batch_size, shuffle=config.shuffle, seed=config.seed)
    autocast = torch.autocast(device.type, torch.bfloat16) if config.precision == "bfloat16" else None
    some = at_once(model, rows.sample, config.batch_size, config.accumulate, autocast)
    valid_rows = None if valid is None else of_one_kind(rows, fed(valid, some, training=False))
    # shuffled rows are gathered anew in each epoch
    writable = config.shuffle and valid is None
    check_rows(
        model,
        rows,
        valid_rows,
        config.batch_size,
        config.accumulate,
        autocast=autocast,
        writable=writable,
    )
    target = rows.target
    assert target is not None  # those to train on are always looked at
    objective = Objective.of(loss, target, metric, autocast)
    check_objective(model, rows, valid_rows, objective)
    if config.accumulate == 1:  # else the first step tells more of it
        warn_of_sum(objective.loss)
    marks = {"rows to train on": rows.mark}
    marks |= told(loss=objective.loss, scaling=scaling, metric=objective.metric)
    compared = None
    if valid_rows is not None:
        marks["rows to validate on"] = valid_rows.mark
        if rows.first is not None and objective.metric != "loss":
            count = min(rows.rows, valid_rows.rows)
            compared = partial(rows.first, count, evenly(some, count))
    # shuffled ones are copies
    if rows.first is not None and not config.shuffle:
        rows = replace(rows, epoch=copied(unwritten(rows.epoch)))
    if valid_rows is not None and valid_rows.first is not None:
        valid_rows = replace(valid_rows, epoch=unwritten(valid_rows.epoch))
    ignoring = objective.ignoring()
    if ignoring is not None:  # in a step alone: accuracy counts these targets
        rows = replace(rows, epoch=retargeted(rows.epoch, ignoring))
    if rows.flaw is None:
        rows = watched(rows)
    # told once where all targets are at hand: a step of a small model is too short to count them each time
    known = [target] if measured(target) else None if rows.targets is None else rows.targets()
    weigh = None if known is not None and all(map(objective.even, known)) else objective.weigher()
    return Material(rows, valid_rows, objective, compared, marks, weigh)
