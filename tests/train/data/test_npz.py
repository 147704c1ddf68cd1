"""A user's own arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from surefoot.errors import InputError
from surefoot.train.data import load
from surefoot.train.data.arrays import Rows, checked_classes

X = np.random.RandomState(0).normal(size=(30, 4))
Y = np.arange(30) % 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.npz"


@pytest.mark.parametrize(
    ("x", "y"), [("x", "y"), ("X", "y"), ("images", "labels"), ("data", "target"), ("x_train", "y_train")]
)
def test_inputs_and_targets_by_their_usual_names(x, y, path):
    np.savez(path, **{x: X, y: Y})
    data = load(str(path))
    assert data.name == "own"
    assert repr(data) == "<Data own: 24 training and 6 validation rows of 4, 3 classes>"
    assert data.train.x.dtype == torch.float64
    assert data.train.y.dtype == torch.int64


@pytest.mark.parametrize(("x", "y"), [("x_test", "y_test"), ("x_val", "y_val"), ("x_valid", "y_valid")])
def test_validation_rows_of_its_own(x, y, path):
    np.savez(path, x_train=X, y_train=Y, **{x: X[:5] + 1, y: Y[:5]})
    data = load(str(path))
    assert torch.equal(data.train.x, torch.from_numpy(X))
    assert torch.equal(data.valid.x, torch.from_numpy(X[:5] + 1))
    asked = load(str(path), train_fraction=0.5)
    assert (len(asked.train), len(asked.valid)) == (15, 15)


def test_classes_as_text_and_labels_in_a_column(path):
    words = np.array(["cat", "dog", "ant"])[Y]
    np.savez(path, x=X, y=words, x_test=X[:2], y_test=words[:2])
    data = load(str(path))
    assert data.classes == ("ant", "cat", "dog")
    assert data.train.y[:3].tolist() == [1, 2, 0]
    assert data.valid.y.tolist() == [1, 2]
    np.savez(path, x=X, y=Y[:, None].astype(np.float64))
    assert load(str(path), train_fraction=0.5).train.y.shape == (15,)


@pytest.mark.parametrize(("y", "outputs"), [(X[:, 0], 1), (X[:, :2], 2), (Y, 1)])
def test_regression(y, outputs, path):
    np.savez(path, x=X, y=y)
    data = load(str(path), task="regression")
    assert data.classes == ()
    assert data.outputs == outputs
    assert data.train.y.dtype == torch.float32
    assert data.train.y.shape == (24, outputs)
    kind = "1 target" if outputs == 1 else f"{outputs} targets"
    assert data.description == f"own: 24 training and 6 validation rows of 4, {kind}"


def spoiled(place: object, value: float) -> np.ndarray:
    x = X.copy()
    x[place] = value
    return x


BAD = [
    (
        {"x": spoiled((7, 2), np.nan), "y": Y},
        "x of {path} holds nan in row 7, position (2,); expected finite numbers.",
    ),
    (
        {"x": spoiled((0, 3), -np.inf), "y": Y},
        "x of {path} holds -inf in row 0, position (3,); expected finite numbers.",
    ),
    (
        {"x": spoiled((0, 0), 1e300), "y": Y},
        "x of {path} holds 1e+300 in row 0, position (0,); expected finite numbers.",
    ),
    (
        {"x": X, "y": Y[:29]},
        "x of {path} holds 30 rows but y of {path} holds 29; each input requires one target.",
    ),
    (
        {"x": X, "y": Y - 1},
        "y of {path} holds label -1 in row 0; expected classes, numbered from 0.",
    ),
    (
        {"x": [[1], [2]], "y": [-1, 0]},
        "y of {path} holds label -1 in row 0; expected classes, numbered from 0.",
    ),
    (
        {"x": X, "y": Y * 1000},
        "y of {path} holds label 1000 in row 1; expected 0 … 2: there are 3 classes, numbered from 0.",
    ),
    (
        {"x": X, "y": np.where(np.arange(30) == 7, 1_000_000_000, Y)},
        "y of {path} holds label 1000000000 in row 7; expected 0 … 2: there are 3 classes, numbered from 0.",
    ),
    (
        {"x": X, "y": 200_000 + Y * 1000 + np.arange(30)},
        "y of {path} holds label 200000 in row 0; expected 0 … 29: there are 30 classes, numbered from 0."
        " Integers are treated as classes; for regression targets use --task regression (in Python,"
        " task='regression').",
    ),
    (
        {"x": X, "y": X[:, 0]},
        "y of {path} holds 1.764052345967664 in row 0, which is not a class number;"
        " for regression targets, use --task regression (in Python,"
        " task='regression').",
    ),
    ({"x": X, "y": X}, "y of {path} has shape (30, 4) and type float64; expected one class for each row."),
    (
        {"x": X[:, 0], "y": Y},
        "x of {path} has shape (30,); expected (rows, values) or (rows, height, width), with no dimension 0.",
    ),
    (
        {"x": X[:0], "y": Y[:0]},
        "x of {path} has shape (0, 4); expected (rows, values) or (rows, height, width), with no"
        " dimension 0.",
    ),
    ({"x": np.array([["a"]] * 30), "y": Y}, "x of {path} has type <U1; expected numbers."),
    (
        {"x": X, "y": np.array(["a", "b", "c"])[Y], "x_test": X[:2], "y_test": np.array(["c", "d"])},
        "y_test of {path} holds label 'd' in row 1, which is not one of the classes: a, b, c.",
    ),
    (
        {"x": X, "y": Y, "x_test": X[:2, :3], "y_test": Y[:2]},
        "The training inputs are float64 of shape (4,) but the validation inputs are float64 of "
        "shape (3,) (x_test of {path}).",
    ),
    ({"a": X, "b": Y}, "{path} holds a, b; expected x and y (or images and labels, x_train and y_train)."),
    ({}, "{path} holds no array; expected x and y (or images and labels, x_train and y_train)."),
    (
        {"x": X, "y": np.array([None] * 30)},
        "{path} holds Python objects; save plain arrays of numbers.",
    ),
    (
        {"x": X[:1], "y": Y[:1]},
        "A training fraction of 0.8 leaves no training rows out of 1.",
    ),
]


@pytest.mark.parametrize(("arrays", "says"), BAD)
def test_arrays_that_cannot_be_used_are_told_in_one_sentence(arrays, says, path):
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert str(caught.value) == says.format(path=path)


def test_a_target_that_is_not_finite(path):
    np.savez(path, x=X, y=np.where(np.arange(30) == 4, np.nan, 1.0))
    with pytest.raises(InputError) as caught:
        load(str(path), task="regression")
    assert str(caught.value) == f"y of {path} holds nan in row 4; expected finite numbers."


def test_files_that_are_no_npz(path):
    np.savez(path, x=X, y=Y)
    whole = path.read_bytes()
    np.save(path.with_suffix(".npy"), X)
    for data in (b"", b"x,y\n1,2\n", whole[:-30], whole[:500], path.with_suffix(".npy").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            load(str(path))
        assert str(caught.value) == f"{path} is not an .npz file as written by numpy.savez, or it is cut off."


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_corrupt_npz(save, path):
    save(path, x=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes(50) + whole[350:])
    with pytest.raises(InputError, match=r" cannot be used: .*\.$"):
        load(str(path))


def test_a_file_that_is_not_there(path):
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert str(caught.value) == f"Cannot read {path}: No such file or directory."


def test_a_table_is_told_how_to_become_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert str(caught.value) == (
        f"{path} is not an .npz file; read it in Python and write numpy.savez('data.npz', x=…, y=…)."
    )


@pytest.mark.parametrize(("y", "name"), [(Y * 0, "0"), (np.full(len(Y), "cat"), "cat")])
def test_one_class_is_nothing_to_tell_apart(path, y, name):
    np.savez(path, x=X, y=y)
    with pytest.raises(InputError) as caught:
        load(str(path))
    assert str(caught.value) == f"y of {path} holds only one class, {name!r}; expected two or more."


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.int64, np.float64])
def test_what_float32_holds_is_float32(dtype, path):
    np.savez(path, x=(4 * X).astype(int).astype(dtype), y=Y)
    assert load(str(path)).train.x.dtype == torch.float32


def test_rows_to_train_and_to_validate_on_are_of_one_dtype(path):
    np.savez(path, x=X, y=Y, x_test=np.zeros((2, 4), np.float32), y_test=Y[:2])
    data = load(str(path))
    assert (data.train.x.dtype, data.valid.x.dtype) == (torch.float64, torch.float64)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_a_column_far_from_zero_keeps_its_digits(dtype, path):
    seconds = np.arange(30) % 20
    np.savez(path, x=(1.7e9 + seconds)[:, None].astype(dtype), y=Y)
    data = load(str(path))
    z = data.scaling(data.train.x)
    assert z.dtype == torch.float32
    assert len(z.unique()) == len(data.train.x.unique()) > 15
    assert z.mean().item() == pytest.approx(0, abs=1e-6)


def test_raw_values_that_become_equal_are_told(path):
    np.savez(path, x=np.stack([X[:, 0], 1.7e9 + np.arange(30)], 1), y=Y)
    with pytest.warns(UserWarning, match="distinct") as caught:
        load(str(path), scale="raw")
    (said,) = [str(warning.message) for warning in caught]
    assert said.startswith(f"column 1 of x of {path} holds values such as 17000000")
    assert said.endswith("of which float32 keeps only 1 of 24 distinct; scale them with --scale standard")
    np.savez(path, x=np.stack([X[:, 0], np.full(30, 1.7e9 + 1)], 1), y=Y)
    load(str(path), scale="raw")  # nothing is lost of one value


def test_twenty_thousand_classes_of_text_are_numbered_at_once():
    names = tuple(f"{i:05}" for i in range(20_000))
    y, found = checked_classes(Rows(np.zeros((20_000, 1)), np.array(names[::-1]), "x", "y"), names)
    assert (y == np.arange(20_000)[::-1]).all()
    assert found is names
