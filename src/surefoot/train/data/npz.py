"""A user's own arrays: one .npz file, as numpy.savez writes it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from surefoot.errors import InputError, first_line
from surefoot.train.data.arrays import Arrays, Rows

__all__ = ["Given", "given", "read"]

# what inputs and targets are called, in scikit-learn, Keras, MedMNIST and elsewhere
_PLAIN = (("x", "y"), ("images", "labels"), ("data", "target"))
_TRAIN = (*_PLAIN, ("x_train", "y_train"), ("train_images", "train_labels"))
_VALID = (
    ("x_valid", "y_valid"),
    ("x_val", "y_val"),
    ("x_test", "y_test"),
    ("valid_images", "valid_labels"),
    ("val_images", "val_labels"),
    ("test_images", "test_labels"),
)
# of rows that no training has seen, if there are any
_NEW = (*_PLAIN, *reversed(_VALID), *_TRAIN[len(_PLAIN) :])


class Given(NamedTuple):
    """Inputs that a model is asked about, and their targets, if these are there.

    Args:
        x: inputs, of any shape.
        y: targets.
        x_from: where the inputs come from, for messages.
        y_from: where the targets come from, or would.
    """

    x: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    x_from: str
    y_from: str


def read(path: Path) -> Arrays:
    """Read inputs and targets from an .npz file.

    Args:
        path: holds x and y (or images and labels, data and target, x_train and y_train), and maybe rows to
            validate on: x_valid and y_valid (or x_val, x_test, and the like). Upper and lower case are alike.

    Returns:
        The arrays.

    Raises:
        InputError: the file cannot be read, or holds no such pair.
    """
    with _opened(path) as (file, names):
        train, valid = _pair(names, _TRAIN), _pair(names, _VALID)
        if train is None:
            raise InputError(
                f"{path} holds {_listed(file)}; expected x and y (or images and labels, x_train and y_train)."
            )
        rows = _rows(file, path, train)
        return Arrays(rows, None if valid is None else _rows(file, path, valid))


def given(path: Path) -> Given:
    """Read inputs alone, and their targets if they are there: x, or whatever `read` takes, or the only array.

    Of several, those that are not to train on.

    Raises:
        InputError: the file cannot be read, or holds no inputs.
    """
    with _opened(path) as (file, names):
        x, y = next(((names[x], y) for x, y in _NEW if x in names), (None, "y"))
        if x is None and len(names) == 1:
            x = file.files[0]
        if x is None:
            raise InputError(f"{path} holds {_listed(file)}; expected x (or images, data, x_test).")
        targets = file[names[y]] if y in names else None
        return Given(file[x], targets, f"{x} of {path}", f"{names.get(y, y)} of {path}")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """The file, and its arrays' names in lower case -> as they are there."""
    if path.is_file() and not zipfile.is_zipfile(path):
        if path.suffix.lower() in (".csv", ".tsv", ".npy", ".parquet", ".xlsx"):
            raise InputError(
                f"{path} is not an .npz file; read it in Python and write numpy.savez('data.npz', x=…, y=…)."
            )
        raise InputError(f"{path} is not an .npz file as written by numpy.savez, or it is cut off.")
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file, {name.lower(): name for name in file.files}
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except InputError:  # a ValueError too, but already a whole sentence
        raise
    except Exception as error:  # numpy and zipfile raise a dozen types
        if "allow_pickle" in str(error):
            raise InputError(f"{path} holds Python objects; save plain arrays of numbers.") from error
        raise InputError(f"{path} cannot be used: {first_line(error)}.") from error


def _rows(file: Any, path: Path, pair: tuple[str, str]) -> Rows:
    x, y = pair
    return Rows(file[x], file[y], f"{x} of {path}", f"{y} of {path}")


def _pair(names: dict[str, str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first pair of which both are there, as the file spells them."""
    return next(((names[x], names[y]) for x, y in pairs if x in names and y in names), None)


def _listed(file: Any) -> str:
    return ", ".join(sorted(file.files)) or "no array"
