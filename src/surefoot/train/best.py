"""The weights of the best validation so far."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from surefoot.train.folder import saved
from surefoot.train.folder.folder import RunFolder

__all__ = ["Best"]


class Best:
    """Keeps a copy of a model's weights when its metric is better than ever; written when the run says so.

    Args:
        model: whose weights.
        metric: what its validation is judged by; of a loss, less is better, of all others more.
        folder: where best.safetensors goes; None keeps nothing.
    """

    def __init__(self, model: nn.Module, metric: str, folder: RunFolder | None) -> None:
        self._model, self._metric, self._folder = model, metric, folder
        self._sign = -1 if metric == "loss" else 1
        self._value, self._step = -float("inf"), 0  # with that sign
        self._unwritten: dict[str, Any] | None = None

    @torch.no_grad()
    def offer(self, value: float | None, step: int) -> None:
        """The weights of this step were validated; the first of equals stays."""
        if self._folder is not None and value is not None and self._sign * value > self._value:
            self._value, self._step = self._sign * value, step
            self._unwritten = saved.copied(self._model)

    def write(self) -> None:
        """Put them into the folder, if that has not been done.

        Raises:
            InputError: it cannot be written.
        """
        if self._folder is not None and self._unwritten is not None:
            about = {"step": self._step, self._metric: self._sign * self._value}
            saved.save(self._folder, self._unwritten, saved.BEST, about)
            self._unwritten = None

    def state_dict(self) -> dict[str, Any]:
        """Which they are; the weights have a file of their own."""
        return {"value": self._value, "step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if self._folder is not None and state["step"] and not (self._folder.path / saved.BEST).exists():
            said = (
                f"{self._folder.path / saved.BEST} is missing; from here on, the best weights are chosen anew"
            )
            warnings.warn(said, stacklevel=2)
            return
        self._value, self._step = state["value"], state["step"]
