"""A trained model at work: from a run's folder and some inputs to what the model says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train import models, saved
from surefoot.train.config import Config, read
from surefoot.train.data import Scaling
from surefoot.train.data.arrays import Rows, checked_classes, checked_inputs, checked_targets

__all__ = ["Trained", "load", "picture", "rows", "score"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model, and what its inputs and outputs mean.

    Args:
        model: with the run's weights, dropout off.
        shape: the shape of one input.
        classes: what each output is called; empty for a regression.
        scaling: raw inputs to the model's.
        bytes: the largest byte that it was trained on; 0 where it was trained on other numbers.
    """

    model: nn.Module
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    scaling: Scaling
    bytes: int = 0

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
    about = saved.about(run, name)
    if "shape" not in about:
        raise InputError(
            f"The run '{run}' was made by fit(), and does not say how to make its model;"
            " load its model.safetensors into the model yourself."
        )
    config = Config(**read(run / "config.toml"))
    shape = tuple(about["shape"])
    model = models.build(config.model, shape, about["outputs"], hidden=config.hidden, dropout=config.dropout)
    saved.load(run, model, name)
    scaling, of_bytes = Scaling.from_dict(about["scaling"]), about.get("bytes", 0)
    return Trained(model.eval(), shape, tuple(about["classes"]), scaling, of_bytes)


def picture(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A picture file as one input: grey or colour, resized, and light on dark as MNIST's digits are.

    A picture whose border is light is inverted, as a digit in ink on paper must be.

    Args:
        path: PNG, or another format that Pillow reads.
        shape: (h, w) for grey, or (3, h, w).

    Returns:
        Bytes 0 … 255, uint8, (1, *shape).

    Raises:
        InputError: the file is no picture, or the model takes none.
    """
    from PIL import Image, UnidentifiedImageError

    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise InputError(f"The model takes inputs of shape {shape}, no pictures; give it a FILE.npz.")
    try:
        with Image.open(path) as file:
            # what is transparent is paper
            flat = Image.new("RGBA", file.size, "white")
            image = Image.alpha_composite(flat, file.convert("RGBA")).convert(
                "RGB" if len(shape) == 3 and shape[0] == 3 else "L"
            )
    except UnidentifiedImageError as error:
        raise InputError(f"'{path}' is no picture that Pillow can read.") from error
    except OSError as error:
        raise InputError(f"Cannot read the picture '{path}': {error.strerror or error}.") from error
    pixels = np.asarray(image.resize((shape[-1], shape[-2]), Image.Resampling.LANCZOS))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 127:
        pixels = 255 - pixels
    if pixels.ndim == 3:
        pixels = pixels.transpose(2, 0, 1)
    return torch.tensor(pixels, dtype=torch.uint8).reshape(1, *shape)


def rows(path: Path, trained: Trained) -> tuple[Tensor, Any]:
    """Inputs from an .npz file: the array x (or images, data, or the only one), and y (or labels), if any.

    Raises:
        InputError: the file cannot be read, or holds no such inputs.
    """
    shape = trained.shape
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.lower(): file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except Exception as error:  # numpy and zipfile raise a dozen types
        raise InputError(
            f"'{path}' is no .npz file of plain arrays as numpy.savez writes it, or it is cut off."
        ) from error
    found = next((arrays[name] for name in ("x", "images", "data", "x_test") if name in arrays), None)
    if found is None and len(arrays) == 1:
        found = next(iter(arrays.values()))
    if found is None:
        raise InputError(f"'{path}' holds {', '.join(sorted(arrays)) or 'no array'}; expected x (or images).")
    if found.shape == shape:
        found = found[None]
    if found.dtype.kind not in "buif" or found.shape[1:] != shape or not len(found):
        raise InputError(
            f"'{path}' holds inputs of shape {found.shape} and type {found.dtype};"
            f" the model takes numbers of shape (rows, {', '.join(map(str, shape))})."
        )
    shares = found.dtype.kind == "f" and 0 < found.max() <= 1 and bool((found != np.floor(found)).any())
    if trained.bytes > 1 and shares:
        raise InputError(
            f"'{path}' holds inputs from {found.min():g} to {found.max():g}; the model was trained on bytes,"
            f" 0 … {trained.bytes}. Give it those."
        )
    y = next((arrays[name] for name in ("y", "labels", "target", "y_test") if name in arrays), None)
    if y is not None and len(np.atleast_1d(y)) != len(found):
        count = f"{len(np.atleast_1d(y)):,} target{'s' * (np.size(y) != 1)}"
        raise InputError(f"'{path}' holds {len(found):,} inputs but {count}.")
    known = np.zeros(len(found)) if y is None else np.atleast_1d(y)
    return torch.from_numpy(checked_inputs(Rows(found, known, f"x of {path}", f"y of {path}"))), y


def score(trained: Trained, output: Tensor, y: Any, path: Path) -> str:
    """How good outputs are, held against the targets of the file: "accuracy 96.00 % of 50 rows", or R².

    Raises:
        InputError: the targets are none of the model's classes, or not as many numbers as it gives.
    """
    rows, count = Rows(output.float().numpy(), y, f"x of {path}", f"y of {path}"), f"of {len(output):,} rows"
    if trained.classes:
        right = (output.argmax(1).numpy() == checked_classes(rows, trained.classes)[0]).mean()
        return f"accuracy {100 * right:.2f} % {count}"
    target = checked_targets(rows).astype(np.float64)
    if target.shape != output.shape:
        raise InputError(
            f"y of {path} has {target.shape[1]} number{'s' * (target.shape[1] != 1)} in a row;"
            f" the model gives {output.shape[1]}."
        )
    varies = ((target - target.mean(0)) ** 2).sum()
    if not varies:
        return f"R² is not defined, since y does not vary, {count}"
    return f"R² {1 - ((output.double().numpy() - target) ** 2).sum() / varies:.4f} {count}"
