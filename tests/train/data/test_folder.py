"""Folders of IDX files."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from surefoot.errors import InputError
from surefoot.train.data import load
from surefoot.train.data.folder import find, read

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def rename(folder: Path, old: str, new: str) -> None:
    (folder / old).rename(folder / new)


def test_plain_and_gzipped_files_are_alike(folder, arrays):
    plain = read(folder)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = read(folder)
    for found in (plain, packed):
        assert found.valid is not None
        assert (found.train.x == arrays[IMAGES]).all()
        assert (found.train.y == arrays[LABELS]).all()
        assert (found.valid.x == arrays["t10k-images-idx3-ubyte"]).all()
        assert (found.valid.y == arrays["t10k-labels-idx1-ubyte"]).all()


@pytest.mark.parametrize("name", ["train-images.idx3-ubyte", f"emnist-letters-{IMAGES}", f"{IMAGES}.gz"])
def test_other_spellings_of_a_name(name, folder, arrays):
    """A dot before idx, a prefix, and a file that something unpacked on the way but left its .gz."""
    rename(folder, IMAGES, name)
    assert (read(folder).train.x == arrays[IMAGES]).all()


def test_a_plain_file_goes_before_its_gzipped_twin(folder):
    (folder / f"{IMAGES}.gz").write_bytes(b"")
    assert find(folder, IMAGES) == folder / IMAGES


def test_without_t10k_files_the_rows_are_split(folder):
    for path in folder.glob("t10k*"):
        path.unlink()
    assert read(folder).valid is None
    data = load(data_dir=folder)
    assert (len(data.train), len(data.valid)) == (40, 10)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda folder: rename(folder, IMAGES, "photos"),
            "The data folder {folder} lacks train-images-idx3-ubyte (or train-images-idx3-ubyte.gz):"
            " it has t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, train-labels-idx1-ubyte.",
        ),
        (
            lambda folder: rename(folder, "t10k-labels-idx1-ubyte", "labels"),
            "The data folder {folder} lacks t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz):"
            " it has t10k-images-idx3-ubyte, train-images-idx3-ubyte, train-labels-idx1-ubyte.",
        ),
        (
            lambda folder: [path.unlink() for path in folder.iterdir()],
            "The data folder {folder} lacks train-images-idx3-ubyte (or train-images-idx3-ubyte.gz):"
            " it has no IDX files.",
        ),
        (
            lambda folder: (folder / f"kmnist-{IMAGES}").touch(),
            "The data folder {folder} holds several files for train-images-idx3-ubyte:"
            " kmnist-train-images-idx3-ubyte, train-images-idx3-ubyte; keep one.",
        ),
        (
            lambda folder: (
                rename(folder, IMAGES, "x"),
                rename(folder, LABELS, IMAGES),
                rename(folder, "x", LABELS),
            ),
            "{folder}/train-images-idx3-ubyte holds labels (IDX with 1 dimension), not images;"
            " is it misnamed?",
        ),
        (
            lambda folder: (folder / LABELS).write_bytes((folder / IMAGES).read_bytes()),
            "{folder}/train-labels-idx1-ubyte holds images (IDX with 3 dimensions), not labels;"
            " is it misnamed?",
        ),
        (
            lambda folder: (folder / LABELS).write_bytes((folder / "t10k-labels-idx1-ubyte").read_bytes()),
            "{folder}/train-images-idx3-ubyte holds 50 rows but {folder}/train-labels-idx1-ubyte holds 20;"
            " each input requires one target.",
        ),
        (
            lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(),
            "The data folder {folder} does not exist.",
        ),
        (
            lambda folder: [path.unlink() for path in folder.iterdir()] and (folder.rmdir(), folder.touch()),
            "The data folder {folder} is not a folder.",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_sentence(spoil, says, folder):
    spoil(folder)
    with pytest.raises(InputError) as caught:
        load(data_dir=folder)
    assert str(caught.value) == says.format(folder=folder)


def test_a_folder_that_passes_for_mnist_is_verified(folder):
    with pytest.raises(InputError) as caught:
        load("mnist", data_dir=folder)
    found = hashlib.sha256((folder / IMAGES).read_bytes()).hexdigest()
    assert str(caught.value) == (
        f"{folder / IMAGES} is not the file of mnist: its SHA-256 is {found},"
        " expected ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db."
    )


def test_a_label_out_of_range(folder, arrays, idx):
    labels = arrays[LABELS].copy()
    labels[17] = 200
    (folder / LABELS).write_bytes(idx(labels))
    with pytest.raises(InputError) as caught:
        load(data_dir=folder)
    assert str(caught.value) == (
        f"{folder / LABELS} holds label 200 in row 17; expected 0 … 9: there are 10 classes, numbered from 0."
    )


def test_a_validation_label_that_no_training_row_has(folder, idx):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(20, 10, np.uint8)))
    with pytest.raises(InputError) as caught:
        load(data_dir=folder)
    assert str(caught.value) == (
        f"{folder / 't10k-labels-idx1-ubyte'} holds label 10 in row 0;"
        " expected 0 … 9: there are 10 classes, numbered from 0."
    )


def test_validation_images_of_another_size(folder, idx):
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 14, 14), np.uint8)))
    with pytest.raises(InputError) as caught:
        load(data_dir=folder)
    assert str(caught.value) == (
        "The training inputs are uint8 of shape (28, 28) but the validation inputs are uint8 of shape (14,"
        f" 14) ({folder / 't10k-images-idx3-ubyte'})."
    )
