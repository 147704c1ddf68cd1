"""A picture file as a model's input."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from surefoot.errors import InputError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["opened", "picture"]

_DEEP = 257  # the largest of 16 bits is as many times the largest byte


def picture(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A picture file as one input: grey or colour, resized, and light on dark as MNIST's digits are.

    It is turned as a camera notes in it; one whose border is light is inverted, as ink on paper must be.

    Args:
        path: PNG, or another format that Pillow reads.
        shape: (h, w) for grey, or (3, h, w).

    Returns:
        Bytes 0 … 255, uint8, (1, *shape).

    Raises:
        InputError: the file is no picture, or the model takes none.
    """
    from PIL import Image

    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise InputError(f"The model takes inputs of shape {shape}, not pictures; give a FILE.npz.")
    image = opened(path, "RGB" if len(shape) == 3 and shape[0] == 3 else "L")
    pixels = np.asarray(image.resize((shape[-1], shape[-2]), Image.Resampling.LANCZOS))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 127:
        pixels = 255 - pixels
    if pixels.ndim == 3:
        pixels = pixels.transpose(2, 0, 1)
    return torch.tensor(pixels, dtype=torch.uint8).reshape(1, *shape)


def opened(path: Path, mode: str) -> Image:
    """A picture file as Pillow has it, turned as a camera notes, on white where it is transparent.

    Args:
        path: PNG, or another format that Pillow reads.
        mode: "L" for grey, or "RGB".

    Raises:
        InputError: the file is no picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow reads all the same
            with Image.open(path) as file:
                image = _of_bytes(ImageOps.exif_transpose(file)).convert("RGBA")
        # what is transparent is paper
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(mode)
    except UnidentifiedImageError as error:
        raise InputError(f"'{path}' is not a picture that Pillow can read.") from error
    except OSError as error:
        raise InputError(f"Cannot read the picture '{path}': {error.strerror or error}.") from error
    except Exception as error:  # of one that is damaged or too large, each format's own
        raise InputError(f"Cannot read the picture '{path}': {first_line(error)}.") from error


def _of_bytes(image: Image) -> Image:
    """The same, but 16-bit grey, which Pillow would clip, in bytes."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    grey = np.asarray(image)
    if grey.max() <= 255:  # bytes, in a larger type
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    return Image.fromarray((grey.clip(0, 65535) / _DEEP).round().astype(np.uint8))
