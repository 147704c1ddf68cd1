"""A folder of IDX files, plain or gzipped, named as MNIST's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from surefoot.errors import InputError
from surefoot.train.data import idx
from surefoot.train.data.arrays import Arrays, Rows
from surefoot.train.data.published import Published

__all__ = ["find", "read"]


def read(folder: Path, published: Published | None = None) -> Arrays:
    """Read the training files of a folder, and the t10k files where there are any.

    Args:
        folder: holds train-images-idx3-ubyte and train-labels-idx1-ubyte, and maybe the two t10k files. Each
            may end in .gz, may have a prefix (emnist-letters-train-…) and a dot before "idx".
        published: which data set's files they must be; None accepts any.

    Returns:
        The arrays; the t10k files are the validation rows.

    Raises:
        InputError: no such folder, a file missing, or one that cannot be used.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"The data folder {folder} {what}.")
    train = _rows(folder, "train", published)
    has_test = published is not None or any(folder.glob("*t10k-*idx*"))
    return Arrays(train, _rows(folder, "t10k", published) if has_test else None)


def find(folder: Path, name: str) -> Path:
    """The one file in the folder that goes by this name; a plain file goes before its gzipped twin.

    Raises:
        InputError: there is none, or there are several.
    """
    stem = name.replace("-idx", "?idx")  # some copies are called train-images.idx3-ubyte
    plain = sorted(folder.glob(f"*{stem}"))
    found = plain or sorted(folder.glob(f"*{stem}.gz"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise InputError(f"The data folder {folder} holds several files for {name}: {names}; keep one.")
    others = sorted(path.name for path in folder.glob("*idx*"))
    there = f"it has {', '.join(others)}" if others else "it has no IDX files"
    raise InputError(f"The data folder {folder} lacks {name} (or {name}.gz): {there}.")


def _rows(folder: Path, part: str, published: Published | None) -> Rows:
    images = _read(folder, f"{part}-images-idx3-ubyte", published)
    labels = _read(folder, f"{part}-labels-idx1-ubyte", published)
    return Rows(images[0], labels[0], x_from=str(images[1]), y_from=str(labels[1]))


def _read(folder: Path, name: str, published: Published | None) -> tuple[npt.NDArray[np.generic], Path]:
    path = find(folder, name)
    array = idx.read(path, published.sha256[name], published.name) if published else idx.read(path)
    kind = "images" if "images" in name else "labels"
    if (array.ndim == 1) != (kind == "labels"):
        other = "labels" if kind == "images" else "images"
        raise InputError(
            f"{path} holds {other} (IDX with {array.ndim} dimension{'s' * (array.ndim > 1)}), not {kind};"
            " is it misnamed?"
        )
    return array, path
