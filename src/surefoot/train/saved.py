"""Weights on disk: safetensors, which load without running code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import nn

from surefoot.errors import InputError
from surefoot.train.folder import RunFolder

__all__ = ["load", "save"]

_NAME = "model.safetensors"


def save(folder: RunFolder, model: nn.Module) -> None:
    """Write the model's weights, and what its inputs and outputs mean, to the run's folder."""
    # copies: safetensors refuses tensors that share memory, as tied weights do
    weights = {name: t.detach().cpu().clone().contiguous() for name, t in model.state_dict().items()}
    folder.write(_NAME, safetensors.torch.save(weights, {"surefoot": json.dumps(dict(folder.about))}))


def load(folder: Path, model: nn.Module) -> None:
    """Put the weights of a run into its model.

    Raises:
        InputError: there are none, or they are of another model.
    """
    path = folder / _NAME
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"Cannot read the weights '{path}': {error}.") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"The weights in '{path}' are of another model than config.toml says.") from error


def about(folder: Path) -> dict[str, Any]:
    """What the weights' file says of inputs and outputs: scaling, shape, classes.

    Raises:
        InputError: there is no such file.
    """
    path = folder / _NAME
    try:
        with safetensors.safe_open(path, "pt") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("surefoot", "{}"))
            return found
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"Cannot read the weights '{path}': {error}.") from error
