"""From the name of some data to tensors: read, checked, split, and the scaling learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from surefoot.errors import InputError, unknown
from surefoot.train.data import arrays, folder, npz
from surefoot.train.data.arrays import Arrays
from surefoot.train.data.published import EMBEDDED, MNIST, NAMES, PUBLISHED
from surefoot.train.data.scale import Scaling, learn
from surefoot.train.data.split import split

__all__ = ["TASKS", "Data", "Split", "load"]

TASKS = ("classification", "regression")


@dataclass(frozen=True, repr=False, eq=False)
class Split:
    """Rows to train or to validate on.

    Args:
        x: inputs as they were read, uint8 or float32, (n, ...); `Data.scaling` makes the model's input of them.
        y: class numbers, int64, (n,); or targets, float32, (n, k).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> Split:
        """The same rows on a device."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True, repr=False, eq=False)
class Data:
    """Some data, ready to train on.

    Args:
        name: what it is called.
        task: "classification" or "regression".
        train: the rows to train on, in the split's order.
        valid: the rows to validate on.
        scaling: raw inputs to the model's float input, learned from the training rows.
        classes: what each class is called; empty for a regression.
    """

    name: str
    task: str
    train: Split
    valid: Split
    scaling: Scaling
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input, such as (28, 28)."""
        return tuple(self.train.x.shape[1:])

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for one input: one per class, or one per target."""
        return len(self.classes) or self.train.y.shape[1]

    @property
    def description(self) -> str:
        """One line that says what it is."""
        shape = " × ".join(map(str, self.shape))
        what = f"{self.outputs} classes" if self.classes else f"{self.outputs} targets"
        return f"{self.name}: {len(self.train):,} training and {len(self.valid):,} validation rows of {shape}, {what}"

    def __repr__(self) -> str:
        return f"<Data {self.description}>"


def load(
    name: str = EMBEDDED,
    *,
    data_dir: Path | None = None,
    split_seed: int = 0,
    train_fraction: float | None = None,
    scale: str = "standard",
    task: str = "classification",
) -> Data:
    """Read, check and split some data, and learn its scaling.

    Data that come with validation rows of their own (MNIST's 10,000 test images, x_test in an .npz file) are
    validated on those, as is the field's habit, unless `train_fraction` is given: then the training rows alone are
    split, and the test rows are left untouched.

    Args:
        name: "mnist-10k" (embedded), "mnist" or "fashion-mnist" (downloaded when first used), or the path of an
            .npz file or of a folder of IDX files.
        data_dir: a folder of IDX files, plain or gzipped; nothing is downloaded. For "mnist" and "fashion-mnist" they
            must be the published files; with "mnist-10k", the default, any files will do, and all of them are used.
        split_seed: shuffles the rows before they are split.
        train_fraction: the share that trains, between 0 and 1; None is 0.8 where the data bring no validation rows.
        scale: "standard" (mean 0, deviation 1), "unit" (0 … 1) or "raw".
        task: "classification" (targets are class numbers) or "regression" (targets are float).

    Returns:
        The data.

    Raises:
        InputError: an unknown name, or data that cannot be used; the sentence says which file, row and value.

    Example:
        >>> load()
        <Data mnist-10k: 8,000 training and 2,000 validation rows of 28 × 28, 10 classes>
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    name, found, classes = _find(name, data_dir)
    return _prepare(name, found, classes, split_seed, train_fraction, scale, task)


def _find(name: str, data_dir: Path | None) -> tuple[str, Arrays, tuple[str, ...] | None]:
    """What it is called, its arrays, and its classes where they are known."""
    if name in PUBLISHED:
        published = PUBLISHED[name]
        if data_dir is None:
            raise NotImplementedError
        return name, folder.read(data_dir, published.sha256), published.classes
    if name == EMBEDDED and data_dir is None:
        return name, folder.read(Path(__file__).parent / "mnist_10k"), MNIST.classes
    if name == EMBEDDED and data_dir is not None:
        return data_dir.resolve().name, folder.read(data_dir), None
    path = Path(name)
    if data_dir is not None or not (path.exists() or path.suffix == ".npz" or len(path.parts) > 1):
        raise unknown("data", name, NAMES)
    arrays_ = npz.read(path) if path.is_file() or path.suffix == ".npz" else folder.read(path)
    return path.resolve().stem, arrays_, None


def _prepare(
    name: str,
    found: Arrays,
    classes: tuple[str, ...] | None,
    split_seed: int,
    train_fraction: float | None,
    scale: str,
    task: str,
) -> Data:
    def tensors(rows: arrays.Rows, known: int | None) -> Split:
        x = torch.from_numpy(arrays.checked_inputs(rows))
        if task == "regression":
            return Split(x, torch.from_numpy(arrays.checked_targets(rows)))
        return Split(x, torch.from_numpy(arrays.checked_classes(rows, known)))

    train = tensors(found.train, None if classes is None else len(classes))
    if task == "regression":
        classes = ()
    elif classes is None:
        classes = tuple(map(str, range(int(train.y.max()) + 1)))
    if found.valid is not None and train_fraction is None:
        valid = tensors(found.valid, len(classes))
        if valid.x.shape[1:] != train.x.shape[1:] or valid.y.shape[1:] != train.y.shape[1:]:
            raise InputError(
                f"{found.valid.x_from} has rows of shape {tuple(valid.x.shape[1:])},"
                f" but {found.train.x_from} has {tuple(train.x.shape[1:])}."
            )
    else:
        picked = split(len(train), 0.8 if train_fraction is None else train_fraction, split_seed)
        train, valid = (Split(train.x[rows], train.y[rows]) for rows in map(torch.from_numpy, picked))
    return Data(name, task, train, valid, learn(scale, train.x), classes)
