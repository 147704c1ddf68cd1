"""A user's own arrays: one .npz file, as numpy.savez writes it."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from surefoot.errors import InputError
from surefoot.train.data.arrays import Arrays, Rows

__all__ = ["read"]

# what inputs and targets are called, in scikit-learn, Keras, MedMNIST and elsewhere
_TRAIN = (
    ("x", "y"),
    ("x_train", "y_train"),
    ("images", "labels"),
    ("train_images", "train_labels"),
    ("data", "target"),
)
_VALID = (
    ("x_valid", "y_valid"),
    ("x_val", "y_val"),
    ("x_test", "y_test"),
    ("valid_images", "valid_labels"),
    ("val_images", "val_labels"),
    ("test_images", "test_labels"),
)


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
    if path.is_file() and not zipfile.is_zipfile(path):
        if path.suffix.lower() in (".csv", ".tsv", ".npy", ".parquet", ".xlsx"):
            raise InputError(
                f"{path} is no .npz file; read it in Python and write numpy.savez('data.npz', x=…, y=…)."
            )
        raise InputError(f"{path} is no .npz file as numpy.savez writes it, or it is cut off.")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = {name.lower(): name for name in file.files}
            train, valid = _pair(names, _TRAIN), _pair(names, _VALID)
            if train is None:
                raise InputError(
                    f"{path} holds {', '.join(sorted(file.files)) or 'no array'};"
                    " expected x and y (or images and labels, x_train and y_train)."
                )
            rows = [
                pair and Rows(file[pair[0]], file[pair[1]], f"{pair[0]} of {path}", f"{pair[1]} of {path}")
                for pair in (train, valid)
            ]
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except InputError:  # a ValueError too, but already a whole sentence
        raise
    except (ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise InputError(f"{path} holds Python objects; save plain arrays of numbers.") from error
        raise InputError(f"{path} cannot be used: {error}.") from error
    assert rows[0] is not None
    return Arrays(rows[0], rows[1])


def _pair(names: dict[str, str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first pair of which both are there, as the file spells them."""
    return next(((names[x], names[y]) for x, y in pairs if x in names and y in names), None)
