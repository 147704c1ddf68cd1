"""Training and evaluation mode: a model is put into one for a while, and its parts keep their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["evaluating", "kept", "train"]


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Whatever happens inside, each part of the model is afterwards in the mode that it is in now."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode and without gradients."""
    with kept(model), torch.no_grad():  # not inference_mode: a model may keep a tensor that it makes
        training = model.training
        model.eval()
        try:
            yield
        finally:
            model.train(training)  # what a layer does there, as merging weights, it undoes here


def train(model: nn.Module) -> None:
    """Put a model into training mode, unless it is: parts set to evaluation, as frozen ones are, stay so."""
    if not model.training:
        model.train()
