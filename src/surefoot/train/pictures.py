"""Pictures that a model is asked about: what it is given of each, and what is to be said of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surefoot.errors import InputError
from surefoot.train.picture import opened, picture

if TYPE_CHECKING:
    from surefoot.train.predict import Trained

__all__ = ["Seen", "files", "only", "seen"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_BLANK = 10  # grey levels: less is no ink


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model is given of a picture.

    Args:
        x: one input, (1, *shape), bytes.
        prepared: whether it was prepared as MNIST was.
        doubts: why an answer to it is not to be relied on, each a part of a sentence.
    """

    x: Tensor
    prepared: bool = False
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Short: its size, what was done, and what is doubtful."""
        size = " × ".join(map(str, self.x.shape[1:]))
        return f"<Seen {size}{', prepared' * self.prepared}{''.join(f'; {doubt}' for doubt in self.doubts)}>"


def seen(path: Path, trained: Trained, *, raw: bool = False) -> Seen:
    """Read a picture for a model; for one of MNIST's digits, prepare it as MNIST was.

    Args:
        path: PNG, or another format that Pillow reads.
        trained: the model.
        raw: leave it as it is: it is resized, and inverted where its border is light.

    Returns:
        The model's input, and what was done.

    Raises:
        InputError: the file is no picture, the model takes none, or there is nothing on it.

    Example:
        >>> from surefoot.train import predict
        >>> trained = predict.load(Path("runs/first"))  # doctest: +SKIP
        >>> trained(seen(Path("digit.jpg"), trained).x).argmax()  # doctest: +SKIP
        tensor(7)
    """
    if raw or not trained.of_mnist:
        return Seen(picture(path, trained.shape))
    from surefoot.train.digits.prepare import as_mnist

    image = opened(path, "L")
    prepared = as_mnist(image)
    if prepared.pixels is None:
        darkest, lightest = image.getextrema()
        if lightest - darkest <= _BLANK:  # type: ignore[operator]
            raise InputError(f"'{path}' is blank: there is no digit on it.")
        raise InputError(f"Nothing on '{path}' stands out from its background as a digit does.")
    x = torch.tensor(prepared.pixels).reshape(1, *trained.shape)
    return Seen(x, prepared.changed, prepared.doubts)


def files(given: Sequence[Path]) -> list[Path]:
    """The files that are meant: of a folder, the pictures in it, by name.

    Raises:
        InputError: there are none in a folder.
    """
    found: list[Path] = []
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not inside:
                raise InputError(f"There is no picture in the folder '{path}', such as digit.png.")
        elif not path.exists() and {*"*?["} & {*path.name}:  # the shells of Windows leave that to the command
            inside = sorted(path.parent.glob(path.name)) or inside
        found += inside
    return found


def only(classes: Sequence[str]) -> str:
    """Say that whatever a picture shows is taken for a class.

    Example:
        >>> only(("0", "1", "2", "3"))
        'the model knows only its 4 classes, 0 … 3, and takes everything for one of them'
    """
    named = ", ".join(classes) if len(classes) <= 3 else f"{classes[0]} … {classes[-1]}"
    return f"the model knows only its {len(classes)} classes, {named}, and takes everything for one of them"
