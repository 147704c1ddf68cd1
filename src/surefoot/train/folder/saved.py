"""Weights on disk: safetensors, which load without running code."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.pack import pack, unpack

__all__ = ["BEST", "LAST", "LOSS", "about", "check", "check_run", "copied", "load", "save", "save_last"]

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
    said, tensors = _parted(weights)
    about = {**folder.about, **(more or {}), **said}
    folder.write(name, safetensors.torch.save(tensors, {"surefoot": json.dumps(about)}))


def check(*modules: nn.Module | None) -> None:
    """Raise an InputError for what a module holds and no file can, before any work is done."""
    for module in modules:
        if module is not None:
            _parted(module.state_dict())


def _parted(weights: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file says of weights, and its tensors, which it has by the names that the model gives them.

    Complex ones are there as real ones with a last axis of 2, and are named.
    """
    plain, held = pack(dict(weights), "the model")
    names: dict[str, str] = {}
    complex_: list[str] = []
    others = []  # of get_extra_state
    for name, value in plain["dict"]:
        kind, number = next(iter(value.items())) if isinstance(value, dict) else ("", "")
        if kind in ("tensor", "complex"):
            names[number] = name
            complex_ += [name] * (kind == "complex")
        else:
            others.append([name, value])
    said: dict[str, Any] = {"complex": complex_} if complex_ else {}
    said |= {"extra": {"dict": others}} if others else {}
    return said, {names.get(number, _EXTRA + number): t for number, t in held.items()}


def save_last(
    folder: RunFolder, model: nn.Module, loss: nn.Module | None, more: Mapping[str, Any] | None = None
) -> None:
    """Write what a model's weights are now, and what a loss holds, to the run's folder.

    Args:
        folder: the run's.
        model: whose weights.
        loss: the loss, if it holds any.
        more: what else the model's file says.

    Raises:
        InputError: a file cannot be written.
    """
    save(folder, model.state_dict(), more=more)
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
        raise _unread(path, error) from error
    inside = {k.removeprefix(_EXTRA): t for k, t in tensors.items() if k.startswith(_EXTRA)}
    weights: dict[str, Any] = {k: t for k, t in tensors.items() if not k.startswith(_EXTRA)}
    said = about(folder, name)
    # copies: in the file a complex number may lie where the processor takes none from
    weights |= {k: torch.view_as_complex(weights[k].clone()) for k in said.get("complex", ())}
    if extra := said.get("extra"):
        weights |= unpack(extra, inside)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        whose = "loss than this one" if name == LOSS else "model than config.toml says"
        raise InputError(f"The weights in '{path}' belong to a different {whose}.") from error


def about(folder: Path, name: str) -> dict[str, Any]:
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
        raise _unread(path, error) from error


def _unread(path: Path, error: Exception) -> InputError:
    said = str(error).replace(f": {path}", "").removesuffix(".")  # which safetensors tells once more
    return InputError(f"Cannot read the weights '{path}': {said}.")


def check_run(path: Path) -> None:
    """Raise an InputError for what is no run's folder."""
    if not path.exists():
        raise InputError(f"There is no run folder '{path}'.")
    if not (path / "config.toml").is_file():
        raise InputError(f"'{path}' is not a run folder: it has no config.toml.")
