"""Training and evaluation mode: a model is put into one for a while, and its parts keep their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from surefoot.train.randomness import forked

__all__ = ["evaluating", "kept", "looked_at", "train"]


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


@contextmanager
def looked_at(
    model: nn.Module, device: torch.device, autocast: torch.autocast | None = None
) -> Iterator[None]:
    """Call the model as an evaluation does, and leave it and the random numbers as they were."""
    # some count what they are shown
    buffers = [(b, b.clone(), b._version) for b in model.buffers() if not (is_lazy(b) or b.is_inference())]
    try:
        with evaluating(model), forked(device), autocast or nullcontext():
            yield
    finally:
        with torch.no_grad():
            for buffer, before, version in buffers:
                if buffer._version != version:
                    buffer.copy_(before)


def train(model: nn.Module) -> None:
    """Put a model into training mode, unless it is: parts set to evaluation, as frozen ones are, stay so."""
    if not model.training:
        model.train()
