"""Pictures of digits, however they come, as MNIST was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from surefoot.train import predict
from surefoot.train.config import Config
from surefoot.train.data import load
from surefoot.train.digits.prepare import as_mnist, is_mnist
from surefoot.train.job import train
from surefoot.train.picture import picture


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> predict.Trained:
    path = tmp_path_factory.mktemp("prepare") / "run"
    train(Config(epochs=2, out=path, hidden=(64,), threads=1), progress=False)
    return predict.load(path)


def large(digit: Any, times: int = 10) -> Any:
    """How much ink there is at each pixel of a digit enlarged, 0 … 1."""
    size = (28 * times, 28 * times)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)) / 255


def image(grey: Any) -> Image.Image:
    return Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))


def photographed(digit: Any, rng: np.random.Generator) -> Image.Image:
    """A digit somewhere on grey paper that is lit from one side, with a sensor's noise."""
    h, w = 420, 520
    ink = np.zeros((h, w))
    top, left = rng.integers(0, h - 280), rng.integers(0, w - 280)
    ink[top : top + 280, left : left + 280] = large(digit)
    y, x = np.mgrid[-0.5 : 0.5 : h * 1j, -0.5 : 0.5 : w * 1j]
    turned = rng.uniform(0, 2 * np.pi)
    paper = 190 + 80 * (x * np.cos(turned) + y * np.sin(turned))
    return image(paper - 110 * ink + rng.normal(0, 6, (h, w)))


def test_every_picture_of_mnist_stays_as_it_is() -> None:
    for pixels in load().valid.x.numpy():
        for given in (pixels, 255 - pixels):
            prepared = as_mnist(Image.fromarray(given))
            assert not prepared.changed
            assert prepared.doubts == ()
            assert np.array_equal(prepared.pixels, pixels)


def test_photographs_are_known_as_well_as_mnist(trained: predict.Trained, tmp_path: Path) -> None:
    rng, valid = np.random.default_rng(0), load().valid
    x, y = valid.x[:100], valid.y[:100]
    raw, prepared = [], []
    for digit in x.numpy():
        photograph = photographed(digit, rng)
        photograph.save(tmp_path / "digit.png")
        raw.append(picture(tmp_path / "digit.png", (28, 28)))
        prepared.append(torch.tensor(as_mnist(photograph).pixels)[None])
    known, before, after = (
        int((trained(some).argmax(1) == y).sum()) for some in (x, torch.cat(raw), torch.cat(prepared))
    )
    assert known > 85
    assert before < 30
    assert after >= known - 2


def test_what_is_prepared_has_mnists_form() -> None:
    rng = np.random.default_rng(0)
    forms = [is_mnist(as_mnist(photographed(digit, rng)).pixels) for digit in load().valid.x[:40].numpy()]
    assert all(forms)


SIX = next(x.numpy() for x, y in zip(load().valid.x, load().valid.y, strict=True) if y == 6)


def framed(ink: Any) -> Any:
    grey = 215 - 150 * np.pad(ink, 30)
    grey[:25] = grey[-25:] = 20
    grey[:, :25] = grey[:, -25:] = 20
    return grey


def on_a_table(ink: Any) -> Any:
    return np.pad(210 - 150 * ink, 250, constant_values=70)


def with_specks(ink: Any) -> Any:
    grey = 210 - 150 * ink
    grey[6:10, 8:12] = grey[250:254, 20:24] = 40
    return grey


SCENES: dict[str, Callable[[Any], Any]] = {
    "dark on light": lambda ink: 255 - 255 * ink,
    "light on dark": lambda ink: 40 + 180 * ink,
    "faint": lambda ink: 160 - 40 * ink,
    "framed": framed,
    "on a table": on_a_table,
    "in a corner": lambda ink: 230 - 180 * np.pad(ink, ((2, 500), (2, 700))),
    "cut close": lambda ink: 230 - 180 * ink[np.ix_((ink > 0.5).any(1), (ink > 0.5).any(0))],
    "vignette": lambda ink: (220 - 150 * ink) * (1 - 0.3 * np.hypot(*np.mgrid[-1:1:280j, -1:1:280j])),
    "specks": with_specks,
    "of few pixels": lambda ink: 230 - 180 * ink.reshape(28, 10, 28, 10).mean((1, 3)),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_digit_is_cut_out_of_its_scene(scene: str) -> None:
    pixels = as_mnist(image(SCENES[scene](large(SIX)))).pixels
    assert pixels is not None
    assert np.abs(pixels.astype(int) - SIX).mean() < 12


def test_a_thin_stroke_becomes_as_thick_as_mnists() -> None:
    grey = np.full((300, 300), 240.0)
    grey[50:250, 150:152] = 30
    pixels = as_mnist(image(grey)).pixels
    assert pixels is not None
    assert 15 < pixels.sum() / 255 < 60  # a hundredth of 20 pixels' length, before


@pytest.mark.parametrize(
    ("grey", "doubt"),
    [
        (np.tile(255 - 255 * large(SIX), 2), "there are 2 things on it that may be digits; the largest is"),
        (160 - 18 * large(SIX), "ink and paper are only "),
        (255 - 255 * np.pad(large(SIX, 1)[4:24:3, 4:24:3], 30), "the digit is only "),
        (
            (210 - 120 * large(SIX)) * np.where(np.add.outer(np.arange(280), np.arange(280)) > 280, 0.6, 1),
            "what is written reaches the picture's border",
        ),
    ],
    ids=["two", "faint", "small", "shadow"],
)
def test_no_sure_answer_is_given(grey: Any, doubt: str) -> None:
    assert any(said.startswith(doubt) for said in as_mnist(image(grey)).doubts)


@pytest.mark.parametrize("level", [0, 130, 255])
def test_there_is_nothing_on_blank_paper(level: int) -> None:
    assert as_mnist(image(np.full((200, 100), level))).pixels is None
    noise = np.random.default_rng(0).normal(0, 2, (200, 100))
    assert as_mnist(image(level + noise)).pixels is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 3), (9, 2000)])
def test_pictures_of_any_size_are_looked_at(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 2, shape) * 255
    pixels = as_mnist(image(grey)).pixels
    assert pixels is None or (pixels.shape == (28, 28) and pixels.max() == 255)
