"""Pictures as a model's inputs, however they were taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surefoot.errors import InputError
from surefoot.train import predict
from surefoot.train.config import Config
from surefoot.train.data import load
from surefoot.train.job import train
from surefoot.train.picture import picture


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on MNIST, long enough to know a digit."""
    path = tmp_path_factory.mktemp("predict") / "run"
    train(Config(epochs=1, batch_size=100, out=path, hidden=(32,), threads=1), progress=False)
    return path


@pytest.mark.parametrize("ink", ["light on dark", "dark on light", "transparent", "colour"])
def test_a_picture_is_read_as_mnist_is_written(run: Path, tmp_path: Path, ink: str) -> None:
    data = load()
    pixels = data.valid.x[0].numpy()
    if ink == "light on dark":
        image = Image.fromarray(pixels)
    elif ink == "transparent":
        image = Image.fromarray(np.dstack([np.zeros_like(pixels)] * 3 + [pixels]), "RGBA")
    else:
        image = Image.fromarray(255 - pixels)
        if ink == "colour":
            image = image.convert("RGB")
    image.resize((56, 56), Image.Resampling.NEAREST).save(tmp_path / "digit.png")
    x = picture(tmp_path / "digit.png", (28, 28))
    assert (x.shape, x.dtype) == ((1, 28, 28), torch.uint8)
    assert abs(x[0].int() - data.valid.x[0].int()).double().mean() < 12
    assert predict.load(run)(x).argmax() == data.valid.y[0]


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        picture(path, (28, 28))
    return str(caught.value)


def test_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert refused(path, b"hello") == f"'{path}' is not a picture that Pillow can read."
    Image.new("L", (64, 64)).save(path)
    assert refused(path, path.read_bytes()[:60]).startswith(f"Cannot read the picture '{path}': ")
    with pytest.raises(InputError, match=r"Cannot read the picture .*No such file or directory"):
        picture(tmp_path / "nowhere.png", (28, 28))
    with pytest.raises(
        InputError, match=r"The model takes inputs of shape \(4,\), not pictures; give a FILE.npz"
    ):
        picture(path, (4,))


ONE = np.zeros((28, 28), np.uint8)
ONE[4:24, 8:12] = 200  # upright, left of the middle


def test_a_picture_is_turned_as_a_camera_notes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(np.rot90(ONE)).save(tmp_path / "x.png", exif=exif)
    assert torch.equal(picture(tmp_path / "x.png", (28, 28))[0], torch.from_numpy(ONE))


@pytest.mark.parametrize(("dtype", "name"), [("<u2", "x.png"), (">u2", "x.tif"), ("<i4", "x.tif")])
def test_grey_of_16_bits_is_scaled(dtype: str, name: str, tmp_path: Path) -> None:
    Image.fromarray(ONE.astype(dtype) * 257).save(tmp_path / name)
    assert torch.equal(picture(tmp_path / name, (28, 28))[0], torch.from_numpy(ONE))


@pytest.mark.parametrize("dtype", ["<i4", "<u2"])
def test_whole_numbers_that_are_bytes_stay_them(dtype: str, tmp_path: Path) -> None:
    Image.fromarray(ONE.astype(dtype)).save(tmp_path / "x.tif")
    assert torch.equal(picture(tmp_path / "x.tif", (28, 28))[0], torch.from_numpy(ONE))


def test_a_picture_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(ONE).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"Cannot read the picture '.*': Image size \(784 pixels\) exceeds"):
        picture(path, (28, 28))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # of which Pillow only warns
    assert picture(path, (28, 28)).shape == (1, 28, 28)
