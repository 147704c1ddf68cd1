"""Models: the lecture's MLP, a linear one, a small CNN, or a user's own class."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.errors import InputError, a_kind, headline, unknown
from surefoot.train.modes import looked_at
from surefoot.train.resolve import accepted, resolve

__all__ = ["DROPOUT", "HIDDEN", "build", "cnn", "describe", "linear", "look", "mlp"]


def mlp(
    shape: Sequence[int], outputs: int, hidden: Sequence[int] = (256,), dropout: float = 0.1
) -> nn.Sequential:
    """A multilayer perceptron: flatten, then for each hidden size linear, ReLU, dropout; then linear.

    z = W₂·dropout(max(0, W₁x + b₁)) + b₂

    Args:
        shape: the shape of one input, such as (28, 28).
        outputs: how many numbers it gives.
        hidden: units of each hidden layer.
        dropout: share of hidden units dropped while training; 0 leaves the layer out.

    Returns:
        The model: (n, *shape) -> (n, outputs).

    Example:
        >>> import torch
        >>> mlp((28, 28), 10)(torch.zeros(2, 28, 28)).shape
        torch.Size([2, 10])
    """
    sizes = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


def linear(shape: Sequence[int], outputs: int) -> nn.Sequential:
    """A linear model: flatten, then one linear layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))


class _WithChannels(nn.Module):
    """(n, h, w) -> (n, 1, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(1)


def cnn(
    shape: Sequence[int], outputs: int, hidden: Sequence[int] = (16, 32), dropout: float = 0.1
) -> nn.Sequential:
    """A small convolutional network: per hidden size 3 × 3 convolution, ReLU, 2 × 2 pooling; then linear.

    Args:
        shape: the shape of one image, (h, w) or (channels, h, w).
        outputs: how many numbers it gives.
        hidden: channels of each convolution; each halves h and w.
        dropout: share of the last features dropped while training; 0 leaves the layer out.

    Raises:
        InputError: `shape` is no image's, or too small to be halved so often.
    """
    least = 2 ** len(hidden)
    if len(shape) not in (2, 3):
        raise InputError(
            f"A cnn needs images, (height, width) or (channels, height, width), not {tuple(shape)}."
        )
    if min(shape[-2:]) < least:
        moved = (shape[-1], *shape[:-1])
        last = f"; are its channels last? They come first, as {moved}" if min(moved[-2:]) >= least else ""
        raise InputError(
            f"A cnn of {len(hidden)} layers needs images of at least {least} × {least},"
            f" not {tuple(shape)}{last}."
        )
    layers: list[nn.Module] = [_WithChannels()] if len(shape) == 2 else []
    channels = [1 if len(shape) == 2 else shape[0], *hidden]
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    if dropout:
        layers.append(nn.Dropout(dropout))
    h, w = (side // 2 ** len(hidden) for side in shape[-2:])
    return nn.Sequential(*layers, nn.Linear(channels[-1] * h * w, outputs))


MODELS = {"mlp": mlp, "linear": linear, "cnn": cnn}
HIDDEN = {"mlp": (256,), "cnn": (16, 32)}
DROPOUT = {"mlp": 0.1, "cnn": 0.1}


def build(
    spec: str,
    shape: Sequence[int],
    outputs: int,
    *,
    hidden: Sequence[int] | None = None,
    dropout: float | None = None,
) -> nn.Module:
    """The model that `spec` names.

    Args:
        spec: mlp, linear, cnn, or a user's torch.nn.Module as `package.module:Class` or `file.py:Class`. Its
            class is called with those of shape, outputs, hidden and dropout that its parameters name.
        shape: the shape of one input.
        outputs: how many numbers the model gives.
        hidden: hidden sizes; None is the model's default.
        dropout: share dropped; None is the model's default.

    Raises:
        InputError: no such model, or a class that cannot be called so.
    """
    if ":" not in spec and spec not in MODELS:
        raise unknown("model", spec, [*MODELS, "package.module:Class", "file.py:Class"])
    make: Any = MODELS[spec] if spec in MODELS else resolve(spec, "model", nn.Module)
    given = {"shape": tuple(shape), "outputs": outputs, "hidden": hidden, "dropout": dropout}
    parameters, _ = accepted(make)
    if hidden is not None and "hidden" not in parameters:
        raise InputError(f"The model '{spec}' takes no hidden sizes; leave them out.")
    if dropout and "dropout" not in parameters:
        raise InputError(f"The model '{spec}' takes no dropout; leave it out.")
    missing = [n for n, p in parameters.items() if p.default is p.empty and given.get(n) is None]
    if missing:
        raise InputError(
            f"The model '{spec}' requires {', '.join(missing)}; "
            f"surefoot passes shape, outputs, hidden and dropout; other parameters need defaults."
        )
    try:
        model = make(**{n: v for n, v in given.items() if n in parameters and v is not None})
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"The model '{spec}' cannot be made: {type(error).__name__}: {error}.") from error
    assert isinstance(model, nn.Module)
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError(f"The model '{spec}' has no parameters to train.")
    return model


def look(model: nn.Module, spec: str, x: Tensor, outputs: int, classes: bool = True) -> None:
    """See before training that a user's model takes the rows, and gives as many outputs as the data want.

    Args:
        model: the model.
        spec: how the user named it.
        x: a row or some, scaled.
        outputs: how many numbers one row should give.
        classes: whether these are classes, one number for each; else they may have any shape.

    Raises:
        InputError: it does not.
    """
    try:
        with looked_at(model, x.device), torch.enable_grad():
            given = model(x)
    except (Exception, SystemExit) as error:
        rows = f"rows of shape {tuple(x.shape[1:])}"
        raise InputError(f"The model '{spec}' cannot take {rows}: {headline(error)}.") from error
    wanted = (len(x), outputs)
    if not isinstance(given, Tensor):
        raise InputError(f"The model '{spec}' returns {a_kind(given)}; it must return one tensor.")
    if (
        given.numel() != math.prod(wanted)
        or given.shape[:1] != (len(x),)
        or (classes and given.shape != wanted)
    ):
        raise InputError(
            f"The model '{spec}' returns shape {tuple(given.shape)} for {len(x):,} rows; expected {wanted}."
        )
    if not given.requires_grad:  # nor in training, where alone some models give one
        with suppress(Exception), looked_at(model, x.device), torch.enable_grad():
            given = model.train()(x)
    if not given.requires_grad:
        raise InputError(
            f"The output of the model '{spec}' has no gradient to its parameters; is it detached, or under"
            " no_grad?"
        )


def describe(model: nn.Module) -> str:
    """The model in a few words: its linear sizes if it is a chain of them, and how many parameters it has.

    Example:
        >>> describe(mlp((28, 28), 10))
        '784-256-10, 203,530 parameters'
    """
    count = f"{sum(p.numel() for p in model.parameters()):,} parameters"
    layers = list(model.children()) if type(model) is nn.Sequential else []
    linears = [m for m in layers if isinstance(m, nn.Linear)]
    plain = (nn.Linear, nn.Flatten, nn.ReLU, nn.Dropout)
    if linears and all(isinstance(m, plain) for m in layers):
        sizes = [linears[0].in_features, *(m.out_features for m in linears)]
        return f"{'-'.join(map(str, sizes))}, {count}"
    return count
