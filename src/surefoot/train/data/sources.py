"""From the name of some data to tensors: read, checked, split, and the scaling learned."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from surefoot.errors import InputError, unknown
from surefoot.train.data import embedded, folder, npz
from surefoot.train.data.arrays import Arrays, Rows, checked_classes, checked_inputs, checked_targets
from surefoot.train.data.published import EMBEDDED, MNIST, NAMES, PUBLISHED, Published
from surefoot.train.data.scale import Scaling, learn
from surefoot.train.data.split import split
from surefoot.train.folder.writing import at_home

__all__ = ["TASKS", "Data", "Split", "load"]

TASKS = ("classification", "regression")


@dataclass(frozen=True, repr=False, eq=False)
class Split:
    """Rows to train or to validate on.

    Args:
        x: inputs as they were read, (n, ...), uint8, float32, or float64 where float32 does not hold them;
            `Data.scaling` makes model input of them.
        y: class numbers, int64, (n,); or targets, float32, (n, k).
    """

    x: Tensor
    y: Tensor

    def __repr__(self) -> str:
        return f"<Split: {len(self):,} rows of {' × '.join(map(str, self.x.shape[1:]))}>"

    def __len__(self) -> int:
        return len(self.x)


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
        source: what tells all the training rows, before they were split, from others.
    """

    name: str
    task: str
    train: Split
    valid: Split
    scaling: Scaling
    classes: tuple[str, ...]
    source: str = ""

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
        kind = "classes" if self.classes else "target" + "s" * (self.outputs > 1)
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.valid):,} validation rows of {shape},"
            f" {self.outputs} {kind}"
        )

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
    validated on those, as is the field's habit, unless `train_fraction` is given: then the training rows
    alone are split, and the test rows are left untouched.

    Args:
        name: "mnist-10k" (embedded), "mnist" or "fashion-mnist" (downloaded when first used), or the path of
            an .npz file or of a folder of IDX files.
        data_dir: a folder of IDX files, plain or gzipped; nothing is downloaded. For "mnist" and
            "fashion-mnist" they must be the published files; with "mnist-10k", the default, any will do, and
            all are used.
        split_seed: shuffles the rows before they are split.
        train_fraction: the share that trains, between 0 and 1; None is 0.8 where the data bring no
            validation rows.
        scale: "standard" (mean 0, deviation 1), "unit" (0 … 1) or "raw".
        task: "classification" (targets are classes) or "regression" (targets are numbers).

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
    train, classes = _tensors(found.train, task, classes)
    from surefoot.train.rows.identity import mark  # which imports this package

    source = mark(train.x, train.y)
    if found.valid is not None and train_fraction is None:
        valid, _ = _tensors(found.valid, task, classes)
        if {train.x.dtype, valid.x.dtype} == {torch.float32, torch.float64}:
            train, valid = (Split(part.x.double(), part.y) for part in (train, valid))
        if split_seed:
            raise InputError(
                f"The data have their own validation rows, so a split-seed of {split_seed} has no effect;"
                " leave it out, or give a train-fraction."
            )
        for part, a, b in (("inputs", train.x, valid.x), ("targets", train.y, valid.y)):
            if a.shape[1:] != b.shape[1:] or a.dtype != b.dtype:
                raise InputError(
                    f"The training {part} are {_kind(a)} but the validation {part} are {_kind(b)}"
                    f" ({found.valid.x_from if part == 'inputs' else found.valid.y_from})."
                )
    else:
        picked = split(len(train), 0.8 if train_fraction is None else train_fraction, split_seed)
        # numpy copies rows of bytes ten times as fast as torch does
        train, valid = (
            Split(*(torch.from_numpy(t.numpy().take(rows, 0)) for t in (train.x, train.y))) for rows in picked
        )
    if scale == "raw":
        _warn_of_equals(train.x, found.train.x_from)
    return Data(name, task, train, valid, learn(scale, train.x), classes, source)


def _warn_of_equals(x: Tensor, where: str) -> None:
    """Of a thousand rows, evenly spaced, see whether a column's values are still different in float32."""
    if x.dtype != torch.float64:
        return
    some = x[:: -(-len(x) // 1000)].flatten(1)
    for column, values in enumerate(some.numpy().T):
        count, left = len(np.unique(values)), len(np.unique(values.astype(np.float32)))
        if 2 * left < count:
            warnings.warn(
                f"column {column} of {where} holds values such as {values[0]:.10g}, of which float32 keeps"
                f" only {left:,} of {count:,} distinct; scale them with --scale standard",
                stacklevel=3,
            )
            return


def _find(name: str, data_dir: Path | None) -> tuple[str, Arrays, tuple[str, ...] | None]:
    """What it is called, its arrays, and its classes where they are known."""
    if name in PUBLISHED:
        return name, _published(PUBLISHED[name], data_dir), PUBLISHED[name].classes
    if name == EMBEDDED:
        if data_dir is None:
            return name, embedded.read(), MNIST.classes
        return data_dir.resolve().name, folder.read(data_dir), None
    path = at_home(name)
    is_file = path.is_file() or path.suffix == ".npz"
    if not name or not (is_file or path.exists() or path.name != name):
        raise unknown("data", name, (*NAMES, "FILE.npz", "FOLDER"))
    if data_dir is not None:
        raise InputError(f"Give either the data '{name}' or the folder '{data_dir}', not both.")
    return path.resolve().stem, npz.read(path) if is_file else folder.read(path), None


def _published(data: Published, data_dir: Path | None) -> Arrays:
    if data_dir is not None:
        return folder.read(data_dir, data)
    from surefoot.train.data.download import fetch  # what the embedded data do not need

    cached = fetch(data)
    try:
        return folder.read(cached, data)
    except InputError:  # damaged since it was downloaded
        return folder.read(fetch(data, recheck=True), data)


def _tensors(rows: Rows, task: str, classes: tuple[str, ...] | None) -> tuple[Split, tuple[str, ...]]:
    """Checked inputs and targets, and the classes (none for a regression)."""
    x = torch.from_numpy(checked_inputs(rows))
    if task == "regression":
        return Split(x, torch.from_numpy(checked_targets(rows))), ()
    labels, classes = checked_classes(rows, classes)
    return Split(x, torch.from_numpy(labels)), classes


def _kind(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape[1:])}"
