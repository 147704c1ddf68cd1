"""A trained model at work: from a run's folder and some inputs to what the model says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train import models
from surefoot.train.config import GIVEN, Config, read
from surefoot.train.data import Scaling, npz
from surefoot.train.data.arrays import Rows, checked_classes, checked_inputs, checked_targets
from surefoot.train.data.published import EMBEDDED, MNIST
from surefoot.train.folder import saved
from surefoot.train.folder.folder import RunFolder
from surefoot.train.saying import typed

__all__ = ["Trained", "load", "rows", "score", "truth"]

_MNIST_ROWS = "60,000 rows of 28 × 28, uint8, checksum 1a72601a"  # as rows.identity tells rows from others


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model, and what its inputs and outputs mean.

    Args:
        model: with the run's weights, dropout off.
        shape: the shape of one input.
        classes: what each output is called; empty for a regression.
        scaling: raw inputs to the model's.
        bytes: the largest byte that it was trained on; 0 where it was trained on other numbers.
        note: what a user must know of the weights; mostly nothing.
        of_mnist: whether it was trained on MNIST's digits, whose form pictures can be given.
    """

    model: nn.Module
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    scaling: Scaling
    bytes: int = 0
    note: str = ""
    of_mnist: bool = False

    def __repr__(self) -> str:
        """Short: what it takes, and what it returns."""
        given = " × ".join(map(str, self.shape))
        told = f"{len(self.classes)} classes" if self.classes else "numbers"
        note = f"; {self.note}" if self.note else ""
        return f"<Trained {type(self.model).__name__}: inputs of {given} → {told}{note}>"

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """Raw inputs (n, *shape) -> probabilities of the classes (n, classes), or a regression's values."""
        output = torch.cat([self.model(self.scaling(part)) for part in torch.split(x, 1000)])
        return output.softmax(1) if self.classes else output


def load(run: Path, *, best: bool = False) -> Trained:
    """The model of a run.

    Args:
        run: its folder.
        best: with the weights of its best validation, rather than the last ones.

    Raises:
        InputError: the folder is no run's, or its model cannot be made again.
    """
    saved.check_run(run)
    name = saved.BEST if best else saved.LAST
    config = Config(**read(run / "config.toml"))
    if config.data != GIVEN:
        _check_there(run, name)
    about = saved.about(run, name)
    if "shape" not in about:
        raise InputError(
            f"The run '{run}' was made by fit() and does not hold its model's class;"
            " load its model.safetensors into the model yourself."
        )
    shape = tuple(about["shape"])
    model = models.build(config.model, shape, about["outputs"], hidden=config.hidden, dropout=config.dropout)
    saved.load(run, model, name)
    scaling, of_bytes = Scaling.from_dict(about["scaling"]), about.get("bytes", 0)
    note = ""
    if not best and RunFolder(run).status == "diverged":
        step = f"the weights of step {about['step']:,}" if "step" in about else "weights of an earlier step"
        note = f"the run diverged; these are {step}, the last good ones kept"
    classes = tuple(about["classes"])
    of_mnist = (shape, of_bytes, classes) == ((28, 28), 255, MNIST.classes) and (
        about.get("source") == _MNIST_ROWS or _of_mnist(run, config)
    )
    return Trained(model.eval(), shape, classes, scaling, of_bytes, note, of_mnist)


def _of_mnist(run: Path, config: Config) -> bool:
    """Whether a run's rows were MNIST's: by its name, or by their checksum where they came from a file."""
    if config.data == MNIST.name or (config.data == EMBEDDED and config.data_dir is None):
        return True
    try:
        given = json.loads((run / "environment.json").read_text(encoding="utf-8"))["given"]
        return bool(given["rows to train on"] == _MNIST_ROWS)
    except (OSError, ValueError, LookupError, TypeError):  # a run's folder may have been tidied
        return False


def _check_there(run: Path, name: str) -> None:
    """Raise an InputError where the run has no such weights, which says how to get some."""
    if (run / name).exists():
        return
    last, best = ((run / other).exists() for other in (saved.LAST, saved.BEST))
    how = []
    if name == saved.BEST and last:
        how.append("leave out --best to use those of its last step")
    elif name == saved.LAST and best:
        how.append("use --best for the weights of its best validation")
    if RunFolder(run).status == "finished":
        what = f"is finished, but its {name} is missing"
    else:
        what = f"is not finished, and has no {name} yet"
        if not last:
            how.insert(0, f"if it was stopped, continue it with surefoot resume {typed(run)}")
    raise InputError(f"The run '{run}' {what}{'; ' * bool(how)}{', or '.join(how)}.")


def rows(path: Path, trained: Trained) -> tuple[Tensor, Any, str]:
    """Inputs from an .npz file, its targets, if it has any, and what these are called.

    Raises:
        InputError: the file cannot be read, or holds no such inputs.
    """
    found, y, x_from, y_from = npz.given(path)
    shape = trained.shape
    if found.shape == shape:
        found = found[None]
    if found.dtype.kind not in "buif" or found.shape[1:] != shape or not len(found):
        raise InputError(
            f"{x_from} has shape {found.shape} and type {found.dtype};"
            f" the model takes numbers of shape (rows, {', '.join(map(str, shape))})."
        )
    shares = found.dtype.kind == "f" and 0 < found.max() <= 1 and bool((found != np.floor(found)).any())
    if trained.bytes > 1 and shares:
        raise InputError(
            f"{x_from} ranges from {found.min():g} to {found.max():g}; the model was trained on bytes,"
            f" 0 … {trained.bytes}. Give bytes."
        )
    y = None if y is None else np.atleast_1d(y)
    pair = Rows(found, np.zeros(len(found)) if y is None else y, x_from, y_from)
    return torch.from_numpy(checked_inputs(pair)), y, y_from


def truth(trained: Trained, output: Tensor, y: Any, y_from: str) -> Any:
    """The targets of the file as the outputs are: class numbers (n,), or numbers (n, k).

    Raises:
        InputError: the targets are none of the model's classes, or not as many numbers as it gives.
    """
    rows = Rows(output.float().numpy(), y, "the output", y_from)
    if trained.classes:
        return checked_classes(rows, trained.classes)[0]
    target = checked_targets(rows).astype(np.float64)
    if target.shape != output.shape:
        raise InputError(
            f"{y_from} has {target.shape[1]} number{'s' * (target.shape[1] != 1)} per row;"
            f" the model returns {output.shape[1]}."
        )
    return target


def score(trained: Trained, output: Tensor, target: Any) -> str:
    """How good outputs are, held against the truth: "accuracy 96.00 % of 50 rows", or R²."""
    count = f"of {len(output):,} rows"
    if trained.classes:
        return f"accuracy {100 * (output.argmax(1).numpy() == target).mean():.2f} % {count}"
    varies = ((target - target.mean(0)) ** 2).sum()
    if not varies:
        return f"R² is not defined, since y does not vary, {count}"
    return f"R² {1 - ((output.double().numpy() - target) ** 2).sum() / varies:.4f} {count}"
