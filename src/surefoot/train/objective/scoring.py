"""What a validation is judged by: accuracy, R², or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from torch import Tensor

from surefoot.errors import InputError, a_kind
from surefoot.train.objective.classes import advised
from surefoot.train.objective.losses import flat
from surefoot.train.progress import METRICS

__all__ = ["Score", "check_dimension", "correct", "moments", "name_of", "number", "said", "whole", "wide"]

Score: TypeAlias = Callable[[Tensor, Tensor], "float | Tensor"]  # (outputs, targets) of all rows


def name_of(score: Score) -> str:
    """What a metric of the user's own is called: in records, where a loss is another thing, and in tables.

    Raises:
        InputError: it cannot be called with outputs and targets.
    """
    if isinstance(score, type) or not callable(score):
        is_ = f"the class {score.__name__}; create an instance" if isinstance(score, type) else repr(score)
        raise InputError(
            f"The metric must be one of {', '.join(map(repr, METRICS))}, or a function of the outputs and"
            f" targets of all validation rows, the larger the better; not {is_}."
        )
    name = getattr(getattr(score, "func", score), "__name__", type(score).__name__)  # a partial's
    return name if name.isidentifier() and name not in ("loss", "loss_mean") else "metric"


def said(name: str) -> str:
    """A metric of the user's own at the beginning of a sentence; one without a name is called "metric"."""
    return "The metric" if name == "metric" else f"The metric {name}"


def number(name: str, value: Any) -> float:
    """What a metric of the user's own returned.

    Raises:
        InputError: it is no number.
    """
    with suppress(TypeError, ValueError, RuntimeError):
        return float(value)
    kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise InputError(f"{said(name)} returned {kind}; it must return a number.")


def whole(name: str, parts: list[Tensor]) -> Tensor:
    """Outputs or targets of all batches, for a metric of this name.

    Raises:
        InputError: they are of different shapes beyond the first dimension.
    """
    shapes = list(dict.fromkeys(tuple(part.shape[1:]) for part in parts))
    if len(shapes) > 1:
        one, other = (f"({', '.join(['n', *map(str, shape)])})" for shape in shapes[:2])
        raise InputError(
            f"{said(name)} requires all validation rows at once, but their batches have shapes {one} and"
            f" {other}. Pad them to the same length, or give metric='loss'."
        )
    return torch.cat(parts)


def wide(values: Tensor) -> Tensor:
    """In float64 where the device has it."""
    return values.float() if values.device.type == "mps" else values.double()


def correct(output: Tensor, target: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    """How many targets are at the largest output, and of how many; output (n, classes, …), target (n, …)."""
    if not isinstance(output, Tensor):
        raise InputError(
            f"Accuracy requires one tensor, (rows, classes); the model returns {a_kind(output)}."
            " With metric='loss' it is judged by its loss."
        )
    target = flat(output, target)
    if output.ndim < 2 or output.shape[1] < 2 or output.select(1, 0).shape != target.shape:
        raise InputError(
            f"The model returns shape {tuple(output.shape)}, but the targets are class numbers of"
            f" shape {tuple(target.shape)}; accuracy requires an output for each class. Add outputs, or give"
            f" metric='loss'; for a regression, give the targets as floats{advised(output, target)}."
        )
    counted = target != ignored
    return wide(((output.argmax(1) == target) & counted).sum()), counted.sum()


def check_dimension(output: Any, target: Tensor) -> None:
    """Raise an InputError where classes may be in dimension 1, as for torch's losses, or in the last."""
    if not isinstance(output, Tensor) or output.ndim < 3 or output.shape[:-1] != target.shape:
        return
    if output.shape[1] == output.shape[-1]:
        raise InputError(
            f"Accuracy is ambiguous for outputs (n, {', '.join(map(str, output.shape[1:]))}) with your own"
            " loss, which may use dimension 1 or the last for the classes; with metric='loss' the model"
            " is judged by its loss, or put the classes in dimension 1 and use torch's cross entropy."
        )


def moments(output: Tensor, target: Tensor, shift: Tensor) -> Tensor:
    """Of each target, less its shift: squared residuals, squares and sum; (3, targets)."""
    if not isinstance(output, Tensor) or output.numel() != target.numel():
        given = tuple(output.shape) if isinstance(output, Tensor) else a_kind(output)
        wanted = tuple(target.shape)
        raise InputError(
            f"R² requires an output for each target, {wanted}; the model returns {given}. With"
            " metric='loss' it is judged by its loss."
        )
    y = wide(target.reshape(len(target), -1))
    residual = y - wide(output.reshape(y.shape))
    y = y - wide(shift.reshape(1, -1))
    return torch.stack([(residual**2).sum(0), (y**2).sum(0), y.sum(0)])
