"""Targets that are class numbers, and the outputs that a cross entropy takes them with."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import Tensor

from surefoot.errors import InputError
from surefoot.train.objective.losses import Loss, cross_entropy, flat, measured, of_classes, setting

__all__ = ["advised", "check_one_each", "loss_of", "refuse", "without_output"]

_SEVERAL = (
    "; if a row may be in several classes at once, give y.float() and loss=torch.nn.BCEWithLogitsLoss()"
)


def advised(output: Tensor, target: Tensor) -> str:
    """What to do about class numbers of the outputs' own shape: they are yes or no for each class."""
    if target.shape != output.shape:
        return ""
    one = bool(((target == 0) | (target == 1)).all()) and bool((target.sum(1) == 1).all())
    # of a row in several classes, argmax would keep one
    return "; if the targets are one-hot, give y.argmax(1)" if one else _SEVERAL


def check_one_each(loss: Any, output: Any, target: Tensor) -> None:
    """Raise an InputError for class numbers of a shape that the cross entropy does not take."""
    if not of_classes(loss) or measured(target) or not isinstance(output, Tensor) or output.ndim < 2:
        return
    taken = flat(output, target) if loss is cross_entropy else target
    wanted = output.select(1, 0).shape
    if taken.shape == wanted:
        return
    given, one = (f"({', '.join(['n', *map(str, shape[1:])])}{',' * (len(shape) == 1)})"
                  for shape in (target.shape, wanted))  # fmt: skip
    if target.numel() == wanted.numel():
        hint = f"; give y.reshape({', '.join(map(str, (-1, *wanted[1:])))})"
    elif target.shape == output.shape and bool((target <= 1).all()):
        hint = advised(output, target)
    else:
        hint = "; for a regression, give the targets as floats"
    raise InputError(
        f"The targets are class numbers of shape {given}; for model outputs of shape"
        f" (n, {', '.join(map(str, output.shape[1:]))}), the cross entropy expects {one}{hint}."
    )


def without_output(count: int, targets: Tensor, ignored: int) -> Tensor:
    """Which class numbers there is none of the outputs for, but for one that the loss ignores."""
    return ((targets < 0) | (targets >= count)) & (targets != ignored)


def refuse(count: int, targets: Tensor, wrong: Tensor, name: str, begun: int) -> NoReturn:
    """Raise an InputError for the first of the targets that are wrong.

    Args:
        count: of the classes.
        targets: class numbers of some rows.
        wrong: which of them have no output.
        name: of the rows: " to validate on", or nothing.
        begun: how many rows come before these.
    """
    first = tuple(wrong.nonzero()[0].tolist())
    raise InputError(_said(f"The target of row {begun + first[0]:,}{name}", int(targets[first]), count))


def loss_of(loss: Loss, output: Any, target: Tensor) -> Tensor:
    """The loss of a batch.

    Raises:
        InputError: a class number that there is no output for, as torch's IndexError says without a place.
    """
    try:
        return loss(output, target)
    except IndexError as error:
        if of_classes(loss) and not measured(target) and isinstance(output, Tensor) and output.ndim > 1:
            count = output.shape[1]
            wrong = target[without_output(count, target, setting(loss, "ignore_index", -100))]
            if len(wrong):
                raise InputError(_said("A target of the batch", int(wrong[0]), count)) from error
        raise


def _said(what: str, found: int, count: int) -> str:
    meant = " Integers are treated as classes; give regression targets as floats, as y.float()."
    return (
        f"{what} is {found:,}, but the model has outputs for the classes 0 to {count - 1:,}."
        f"{meant if count == 1 or found > 2 * count else ''}"
    )
