"""A picture of a handwritten digit, prepared as MNIST's own were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from surefoot.train.digits import ink
from surefoot.train.digits.ink import Ink
from surefoot.train.digits.pieces import Piece

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Prepared", "as_mnist", "is_mnist"]

Grid = npt.NDArray[Any]

_SIZE, _BOX = 28, 20  # of MNIST's pictures, and of the digits in them
_LARGE, _SMALL = 400, 112  # pixels of the longer side at which ink is looked for
_FEW = 12  # pixels: a digit of fewer has too little form
_FAINT = 25.0  # grey levels between ink and paper
_STROKE = 1.6  # pixels of 28: hardly a stroke of MNIST's is thinner


@dataclass(frozen=True, eq=False)
class Prepared:
    """What became of a picture.

    Args:
        pixels: (28, 28), uint8, light on dark; None where the picture has nothing on it.
        changed: whether more was done to it than to invert it.
        doubts: why an answer to it is not to be relied on, each a part of a sentence.
    """

    pixels: Grid | None
    changed: bool = True
    doubts: tuple[str, ...] = ()


def is_mnist(pixels: Grid) -> bool:
    """Whether pixels have the form that all 70,000 pictures of MNIST have.

    Mostly exactly 0, the digit 20 pixels large (one is 19), its centre of mass within half a pixel of
    (14, 14).
    """
    if pixels.shape != (_SIZE, _SIZE) or (pixels == 0).mean() < 0.5 or pixels.max() < 250:
        return False
    rows, columns = np.nonzero(pixels)
    weights = pixels[rows, columns].astype(float)
    centre = [float(np.average(place, weights=weights)) for place in (rows, columns)]
    size = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    return size in (_BOX - 1, _BOX) and all(13.45 <= place <= 14.55 for place in centre)


def as_mnist(image: Image) -> Prepared:
    """Prepare a picture as MNIST was made.

    The background, which may be uneven, is taken off, and with it frames and specks; the ink, dark or light,
    is cut out, scaled to 20 × 20 with its aspect kept, and put into 28 × 28 by its centre of mass.

    Args:
        image: grey (mode "L"), of any size.

    Source:
        Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits.
    """
    pixels = np.asarray(image)
    for same in (pixels, 255 - pixels):
        if is_mnist(same):
            return Prepared(same, changed=False)
    scale = _scale(max(image.size))
    found = ink.find(_smooth(image, scale))
    if found is None:
        return Prepared(None)
    groups = _groups(found)
    doubts = []
    size = max(piece.size for piece in groups[0]) / scale
    if size < _FEW:
        doubts.append(f"the digit is only {size:.0f} pixels large")
    if found.contrast < _FAINT:
        doubts.append(f"ink and paper are only {found.contrast:.0f} of 255 grey levels apart")
    if found.reaches:
        doubts.append("what is written reaches the picture's border, or a shadow or frame that does")
    if len(groups) > 1:
        doubts.append(f"there are {len(groups)} things on it that may be digits; the largest is looked at")
    return Prepared(_rendered(found, groups[0]), doubts=tuple(doubts))


def _scale(size: int) -> float:
    """By how much a picture of that size is enlarged before ink is looked for."""
    return _LARGE / size if size > _LARGE else max(1.0, _SMALL / size)


def _smooth(image: Image, scale: float) -> Grid:
    from PIL import Image, ImageFilter

    size = [max(1, round(length * scale)) for length in image.size]
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    resized = image.resize((size[0], size[1]), way)
    return np.asarray(resized.filter(ImageFilter.GaussianBlur(max(size) / 300))).astype(float)


def _groups(found: Ink) -> list[list[Piece]]:
    """The pieces of each thing that may be a digit, the largest first: one's strokes may lie apart."""
    groups: list[list[Piece]] = []
    largest = max(piece.size for piece in found.pieces)
    for piece in found.pieces:
        near = next((group for group in groups if _overlap(group, piece)), None)
        if near is not None:
            near.append(piece)
        else:
            groups.append([piece])
    tall = [group for group in groups if max(piece.size for piece in group) >= 0.4 * largest]
    return sorted(tall, key=lambda group: -sum(piece.weight for piece in group))


def _overlap(group: list[Piece], piece: Piece) -> bool:
    """Whether a piece lies over, under or within the group, and not beside it."""
    left, right = min(p.box[1] for p in group), max(p.box[3] for p in group)
    top, bottom = min(p.box[0] for p in group), max(p.box[2] for p in group)
    across = min(right, piece.box[3]) - max(left, piece.box[1])
    down = max(top, piece.box[0]) - min(bottom, piece.box[2])
    size = max(right - left, bottom - top)
    return across > 0.3 * min(right - left, piece.box[3] - piece.box[1]) and down < 0.25 * size


def _rendered(found: Ink, group: list[Piece]) -> Grid:
    from PIL import Image

    boxes = np.array([piece.box for piece in group])
    (top, left), (bottom, right) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    mine = np.isin(found.labels, [0, *(piece.label for piece in group)])
    share = np.where(mine, found.strength, 0)[top:bottom, left:right] / found.contrast
    image = Image.fromarray((255 * ((share - 0.2) / 0.6).clip(0, 1)).round().astype(np.uint8))
    size = max(image.size)
    for _ in range(round((_STROKE - _stroke(share > 0.5) * _BOX / size) * size / _BOX / 2)):
        image = _wider(image)
    size = max(image.size)
    w, h = (max(1, round(length * _BOX / size)) for length in image.size)
    small = np.asarray(image.resize((w, h), Image.Resampling.HAMMING)).astype(float)
    small *= 255 / max(small.max(), 1)
    rows, columns = np.mgrid[:h, :w]
    y = round(_SIZE / 2 - float((small * rows).sum() / small.sum()))
    x = round(_SIZE / 2 - float((small * columns).sum() / small.sum()))
    y, x = min(max(y, 0), _SIZE - h), min(max(x, 0), _SIZE - w)
    pixels = np.zeros((_SIZE, _SIZE), np.uint8)
    pixels[y : y + h, x : x + w] = small.round()
    return pixels


def _wider(image: Image) -> Image:
    """The picture with its strokes a pixel wider on each side."""
    from PIL import ImageFilter, ImageOps

    return ImageOps.expand(image, 1).filter(ImageFilter.MaxFilter(3))


def _stroke(mask: Grid) -> float:
    """The strokes' mean width: twice the area for the length of the outline."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & mask
    return 2 * float(mask.sum()) / max(float((mask & ~inner).sum()), 1)
