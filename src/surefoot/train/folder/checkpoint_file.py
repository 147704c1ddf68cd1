"""The files of checkpoints: written whole, read without running code, the newest that can be used found."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from surefoot.errors import InputError
from surefoot.runs import records
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.pack import unpack
from surefoot.train.tensors import raw

__all__ = ["Found", "drop_old", "last", "newest", "write"]

_FORMAT = 1
_KEPT = 2


class Found(NamedTuple):
    """A checkpoint that can be used.

    Args:
        path: its file.
        about: what it says beside the state.
        state: of each part.
        records: of the run up to it.
        damaged: lines of metrics.jsonl that hold no records, by number from 1.
        problem: why the newest cannot be used, or nothing.
        newer: files that it takes the place of.
    """

    path: Path
    about: dict[str, Any]
    state: dict[str, Any]
    records: list[dict[str, Any]]
    damaged: list[int]
    problem: str
    newer: list[Path]


def write(folder: RunFolder, about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write one, safely on the disk before an old one goes.

    Raises:
        InputError: it cannot be written; those from before are as they were.
    """
    about = {"format": _FORMAT, **about}
    about["checksum"] = _content_checksum(about, tensors)
    content = safetensors.torch.save(tensors, {"surefoot": json.dumps(about, allow_nan=False)})
    folder.write(f"checkpoints/step-{about['step']:09}.safetensors", content)
    for place in (folder.path / "checkpoints", folder.path):
        _flush(place)
    drop_old(folder)


def newest(folder: RunFolder) -> Found | None:
    """The newest checkpoint that can be used; of an older one everything can be made again.

    Where metrics.jsonl is damaged, one from before that place; the newest if there is none.

    Raises:
        InputError: there are some, and none can be used, or metrics.jsonl cannot be read.
    """
    metrics = folder.metrics.read()
    unusable: list[Path] = []
    problem = ""
    damaged: Found | None = None
    for path in reversed(_files(folder.path)):
        try:
            about, tensors = _read(path)
            if about["metrics"] > len(metrics):
                raise ValueError("metrics.jsonl ends before it")
            known, holes = records(metrics[: about["metrics"]])
            found = Found(path, about, unpack(about["state"], tensors), known, holes, problem, [*unusable])
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            why = str(error)
        else:
            if not holes:
                return found
            damaged = damaged or found
            why = f"line {holes[0]} of metrics.jsonl is damaged"
        unusable.append(path)
        problem = problem or f"the checkpoint '{path}' cannot be used: {why}"
    if damaged is not None:
        lost = f"line {damaged.damaged[0]} of metrics.jsonl is damaged, and left out"
        return damaged._replace(problem="; ".join(filter(None, (damaged.problem, lost))))
    if unusable:
        raise InputError(f"There is nothing to resume from: {problem}.")
    return None


def last(folder: Path) -> int | None:
    """The step of the newest, unread; None where there is none."""
    files = _files(folder)
    return int(files[-1].stem.removeprefix("step-")) if files else None


def drop_old(folder: RunFolder) -> None:
    """Keep the last two."""
    for old in _files(folder.path)[:-_KEPT]:
        with contextlib.suppress(OSError):
            old.unlink()


def _flush(folder: Path) -> None:
    """See to it that the names in a folder are on the disk, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    """The checkpoints, the oldest first."""
    return sorted((folder / "checkpoints").glob("step-*.safetensors"))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with safetensors.safe_open(path, "pt") as file:
        about = json.loads((file.metadata() or {})["surefoot"])
        if about["format"] != _FORMAT:
            raise ValueError(f"it has format {about['format']}, of another version of surefoot")
        # copies, aligned as torch's own tensors are: sums are then made in the same order
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if about.pop("checksum") != _content_checksum(about, tensors):
        raise ValueError("it does not hold what was written")
    return about, tensors


def _content_checksum(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """Tells whether a disk has kept all of it: safetensors looks at sizes alone."""
    check = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        check = zlib.crc32(raw(tensors[name]), check)
    return check
