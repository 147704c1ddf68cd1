"""Why a run ends before its time: a loss, or lr, was NaN or inf."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

__all__ = ["NotFinite"]

_LARGE = 1000.0  # a target of which squares, and so gradients, run away at every usual lr


class NotFinite(Exception):
    """`what` (a loss, or lr) was NaN or inf at `step`; the weights were good until before step `bad`."""

    def __init__(self, what: str, value: float, step: int, epoch: int, bad: int) -> None:
        super().__init__(what, value, step)
        self.what, self.value, self.step, self.epoch, self.bad = what, value, step, epoch, bad
        self.lr: float | None = None  # what advice suggests, where it is about lr

    def advice(
        self,
        lr: float,
        targets: Iterable[Tensor],
        flaw: str | None = None,
        batch: str | None = None,
        parts: int = 1,
    ) -> str:
        """What went wrong and what to change.

        Args:
            lr: that training began with.
            targets: all of them, in parts, where squares of them are minimised and they are at hand.
            flaw: what is wrong with the numbers of the rows.
            batch: what is wrong with those of the step's batch.
            parts: that a batch is taken in by a loss of the user's own.
        """
        value = "NaN" if math.isnan(self.value) else "infinite"
        size = max((float(part.abs().max()) for part in targets if part.is_floating_point()), default=0.0)
        if self.what == "lr":
            change = "check the schedule, or whatever else changes lr"
        elif batch is not None and self.what == "loss":
            change = batch
        elif flaw is not None and self.epoch == 1:  # what is in the rows shows when they are first seen
            change = flaw
        elif self.bad > 1 and _LARGE <= size < math.inf:
            change = (
                f"the targets are as large as {size:,.6g}, which makes steps too large: scale them to about 1"
            )
        elif self.bad == 1:
            change = "look for NaN, inf or very large numbers in the inputs and targets"
        else:
            self.lr = lr / 10
            change = f"try a smaller lr than {lr:g}, such as {self.lr:g}, or clip the gradient's norm to 1"
            if self.what == "validation loss":
                change = f"look for NaN or inf in the validation rows; or {change}"
        if self.what == "loss" and math.isnan(self.value) and parts > 1 and change not in (batch, flaw):
            change += f"; or, with accumulate={parts}, a part of that batch may have nothing to average"
        return f"The {self.what} became {value} at step {self.step:,} (epoch {self.epoch}); {change}"
