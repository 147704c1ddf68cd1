"""Losses: those that have a name here, and what tells others apart."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.errors import InputError, a_kind

__all__ = [
    "LOSSES",
    "Loss",
    "check_differentiable",
    "check_loss",
    "class_weights",
    "cross_entropy",
    "flat",
    "is_binary",
    "is_distance",
    "measured",
    "of_classes",
    "of_squares",
    "of_torch",
    "setting",
    "squared_error",
    "stateful",
    "summed",
    "warn_of_sum",
    "weigher",
]  # fmt: skip

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the rows of −log softmax(output)[target]; output (n, classes), target (n,) class numbers."""
    return functional.cross_entropy(output, flat(output, target))


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (output − target)²; both with the same number of values."""
    if output.numel() != target.numel():
        raise InputError(
            f"The model returns shape {tuple(output.shape)}, but the targets have shape"
            f" {tuple(target.shape)}; a regression requires as many outputs as targets."
        )
    return functional.mse_loss(output.reshape(target.shape), target)


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "squared-error": squared_error}
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
# of shares between 0 and 1; torch takes no whole numbers for them
_BINARY = (
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)
# of what has an output for each class; a mean of one is over the weights of the classes, not over the rows
_OF_CLASSES = (
    nn.CrossEntropyLoss,
    nn.NLLLoss,
    cross_entropy,
    functional.cross_entropy,
    functional.nll_loss,
)


def measured(target: Tensor) -> bool:
    """Whether targets are measures, and no class numbers."""
    return target.is_floating_point() or target.is_complex()


def is_distance(loss: Any) -> bool:
    """Whether it is one of torch's between outputs and targets of the same shape, or a partial of one."""
    return _is(loss, _DISTANCES)


def is_binary(loss: Any) -> bool:
    """Whether it is a binary cross entropy of torch's, or a partial of one."""
    return _is(loss, _BINARY)


def of_classes(loss: Any) -> bool:
    """Whether it is a cross entropy, for which each class has an output, or a partial of one."""
    return _is(loss, _OF_CLASSES)


def of_squares(loss: Any) -> bool:
    """Whether it grows with the square of targets, and its gradients with them."""
    return _is(loss, (squared_error, functional.mse_loss)) or isinstance(loss, nn.MSELoss)


def _is(loss: Any, kinds: Sequence[Any]) -> bool:
    loss = loss.func if isinstance(loss, partial) else loss
    # a subclass computes the same where it does so by the same forward
    modules: list[Any] = [kind for kind in kinds if isinstance(kind, type) and isinstance(loss, kind)]
    return loss in kinds or any(type(loss).forward is kind.forward for kind in modules)


def setting(loss: Any, name: str, default: Any = None) -> Any:
    """An argument that a partial fills in, or what a module was made with; the default where neither has it.

    Example:
        >>> setting(nn.NLLLoss(ignore_index=3), "ignore_index")
        3
        >>> setting(partial(functional.nll_loss, ignore_index=3), "ignore_index")
        3
    """
    if isinstance(loss, partial):
        return loss.keywords[name] if name in loss.keywords else setting(loss.func, name, default)
    return getattr(loss, name, default)


def of_torch(loss: Any) -> bool:
    """Whether it is one of torch's, or of those that have a name here."""
    home = getattr(loss, "__module__", None) or "" if not isinstance(loss, nn.Module) else ""
    own = loss in LOSSES.values()
    return own or home.startswith("torch.") or type(loss).__module__.startswith("torch.nn.")


def stateful(loss: Any) -> nn.Module | None:
    """The loss where it is a module that holds anything, such as a temperature to learn or a moving mean."""
    return loss if isinstance(loss, nn.Module) and loss.state_dict() else None


def check_loss(value: Any) -> None:
    """Raise an InputError for what is no loss: a scalar tensor."""
    if not isinstance(value, Tensor):
        raise InputError(
            f"The loss returns {a_kind(value)}; it must return a tensor that can be differentiated."
        )
    if value.ndim:
        raise InputError(
            f"The loss returns a tensor of shape {tuple(value.shape)}; it must return a scalar, such as"
            " the mean over the batch."
        )


def warn_of_sum(loss: Any) -> None:
    """Warn of a loss that says of itself that it is a sum."""
    if setting(loss, "reduction") == "sum":
        warnings.warn(
            "The loss is a sum, which grows with the batch: losses of batches of different sizes, as in"
            " training and validation, are not comparable; with reduction='mean' they are.",
            stacklevel=2,
        )


def check_differentiable(value: Tensor) -> None:
    """Raise an InputError for a loss that no gradient goes back from."""
    if not value.requires_grad:
        raise InputError(
            "The loss does not depend on the parameters in a way that can be differentiated: look for"
            " detach(), no_grad(), item(), or a count, such as the number of correct answers."
        )


def class_weights(loss: Any) -> Tensor | None:
    """What each class weighs in a loss, where one is not worth as much as another."""
    found = setting(loss, "weight")
    return found if isinstance(found, Tensor) else None


def weigher(loss: Any) -> Callable[[Tensor], Tensor] | None:
    """For a mean that is not one over rows: what a batch's targets weigh in it; None for all others.

    A cross entropy divides by how many class numbers it does not ignore, or by the weights of their classes.

    Example:
        >>> import torch
        >>> weigher(nn.CrossEntropyLoss(torch.tensor([1.0, 3.0])))(torch.tensor([0, 1, -100, 1]))
        tensor(7.)
    """
    if not of_classes(loss) or setting(loss, "reduction", "mean") != "mean":
        return None
    weight, ignored = setting(loss, "weight"), setting(loss, "ignore_index", -100)

    def weigh(target: Tensor) -> Tensor:
        if measured(target):  # a probability for each class
            return torch.full((), len(target), device=target.device)
        counted = target.ne(ignored)
        if weight is None:
            return counted.sum()
        # a class that there is none of is told by the loss itself
        of_each: Tensor = weight.to(target.device)[target.where(counted, 0).clamp(0, len(weight) - 1)]
        return (of_each * counted).sum()

    return weigh


def summed(loss: Any) -> Loss | None:
    """The loss as a sum over rows, where means of a batch's parts do not add up to it, whatever they weigh.

    So it is where class weights of 0 are smoothed: such a row has a share in the loss, and weighs nothing.

    Example:
        >>> import torch
        >>> summed(nn.CrossEntropyLoss(torch.tensor([0.0, 1.0]), label_smoothing=0.1)).reduction
        'sum'
    """
    weight = class_weights(loss)
    smoothed = weigher(loss) is not None and setting(loss, "label_smoothing")
    if weight is None or not smoothed or not bool(weight.eq(0).any()):
        return None
    if isinstance(loss, nn.Module):
        made: Any = copy.copy(loss)  # of the same weights
        made.reduction = "sum"
        return made  # type: ignore[no-any-return]
    return partial(loss, reduction="sum")


def flat(output: Tensor, target: Tensor) -> Tensor:
    """Class numbers (n, 1), a column of a table, as (n,)."""
    column = target.ndim == 2 and target.shape[1] == 1
    return target.squeeze(1) if column and isinstance(output, Tensor) and output.ndim == 2 else target
