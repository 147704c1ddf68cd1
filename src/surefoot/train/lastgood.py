"""The weights as they were before a loss went bad."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import nn

from surefoot.train.folder import saved

__all__ = ["LastGood"]

_EVERY = 100  # steps; a copy costs about as much as a third of one


class LastGood:
    """Copies of a model's weights, taken now and then; two suffice.

    The weights after s steps are known to be good once the loss of step s + 1 is finite.

    Args:
        model: whose weights.
        step: how many steps it has done.
        loss: one that has some too, to go with them.
    """

    def __init__(self, model: nn.Module, step: int = 0, loss: nn.Module | None = None) -> None:
        self._parts = [part for part in (model, loss) if part is not None]
        self._moved = False
        self._copies: deque[tuple[int, list[dict[str, Any]]]] = deque(maxlen=2)
        self._copy(step)

    def offer(self, step: int) -> None:
        """`step` steps are done, and their losses were finite."""
        if step // _EVERY > self._copies[-1][0] // _EVERY:  # the same steps for a run that is resumed
            self._copy(step)

    @property
    def still(self) -> bool:
        """Whether every parameter is what it was at the start, bit for bit."""
        if not self._moved:
            self._compare(self._copies[-1][1])
        return not self._moved

    def restore(self, bad: int) -> int:
        """The loss of step `bad` was not finite: put the newest good weights back; returns their step."""
        good = [copy for copy in self._copies if copy[0] + 1 < bad] or [self._copies[0]]
        step, states = good[-1]
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)
        return step

    @torch.no_grad()
    def _copy(self, step: int) -> None:
        if (
            self._copies and not self._moved
        ):  # until then all copies are alike: the last is as good as the first
            self._compare(self._copies[-1][1])
        self._copies.append((step, [saved.copied(part) for part in self._parts]))

    def _compare(self, states: list[dict[str, Any]]) -> None:
        pairs = (
            (parameter, state.get(name))
            for part, state in zip(self._parts, states, strict=True)
            for name, parameter in part.named_parameters()
        )
        # what a state dict does not hold is not known, and nothing is said
        self._moved = any(old is None or not torch.equal(now, old) for now, old in pairs)
