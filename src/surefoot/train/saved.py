"""Weights on disk: safetensors, which load without running code."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.folder import RunFolder
from surefoot.train.pack import pack, unpack

__all__ = ["BEST", "LAST", "LOSS", "about", "check_run", "copied", "load", "save", "save_last"]

_EXTRA = "extra of get_extra_state: "
LAST, BEST, LOSS = "model.safetensors", "best.safetensors", "loss.safetensors"


def save(
    folder: RunFolder, weights: Mapping[str, Any], name: str = LAST, more: Mapping[str, Any] | None = None
) -> None:
    """Write a model's weights, and what its inputs and outputs mean, to the run's folder.

    Args:
        folder: the run's.
        weights: the model's state_dict().
        name: of the file.
        more: what else the file says of them.

    Raises:
        InputError: the file cannot be written.
    """
    # copies: safetensors refuses tensors that share memory, as tied weights do
    tensors = {k: t.detach().cpu().clone().contiguous() for k, t in weights.items() if isinstance(t, Tensor)}
    about = {**folder.about, **(more or {})}
    if others := {k: v for k, v in weights.items() if not isinstance(v, Tensor)}:  # of get_extra_state
        about["extra"], inside = pack(others, "the model")
        tensors |= {_EXTRA + k: t for k, t in inside.items()}
    folder.write(name, safetensors.torch.save(tensors, {"surefoot": json.dumps(about)}))


def save_last(folder: RunFolder, model: nn.Module, loss: nn.Module | None) -> None:
    """Write what a model's weights are now, and what a loss holds, to the run's folder.

    Raises:
        InputError: a file cannot be written.
    """
    save(folder, model.state_dict())
    if loss is not None:
        save(folder, loss.state_dict(), LOSS)


def copied(model: nn.Module) -> dict[str, Any]:
    """The model's state_dict() in memory of its own."""
    state = model.state_dict()
    return {k: v.clone() if isinstance(v, Tensor) else copy.deepcopy(v) for k, v in state.items()}


def load(folder: Path, model: nn.Module, name: str = LAST) -> None:
    """Put the weights of a run into its model.

    Raises:
        InputError: there are none, or they are of another model.
    """
    path = folder / name
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"Cannot read the weights '{path}': {error}.") from error
    inside = {k.removeprefix(_EXTRA): t for k, t in tensors.items() if k.startswith(_EXTRA)}
    weights: dict[str, Any] = {k: t for k, t in tensors.items() if not k.startswith(_EXTRA)}
    if extra := about(folder, name).get("extra"):
        weights |= unpack(extra, inside)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        whose = "loss than this one" if name == LOSS else "model than config.toml says"
        raise InputError(f"The weights in '{path}' are of another {whose}.") from error


def about(folder: Path, name: str = LAST) -> dict[str, Any]:
    """What the weights' file says of inputs and outputs: scaling, shape, classes.

    Raises:
        InputError: there is no such file.
    """
    path = folder / name
    try:
        with safetensors.safe_open(path, "pt") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("surefoot", "{}"))
            return found
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"Cannot read the weights '{path}': {error}.") from error


def check_run(path: Path) -> None:
    """Raise an InputError for what is no run's folder."""
    if not path.exists():
        raise InputError(f"There is no run's folder '{path}'.")
    if not (path / "config.toml").is_file():
        raise InputError(f"'{path}' is no run's folder: it holds no config.toml.")
