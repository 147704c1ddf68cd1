"""A run's folder: config.toml, environment.json, metrics.jsonl, model.safetensors, curves.png."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from surefoot.errors import InputError

__all__ = ["RunFolder"]


class RunFolder:
    """The folder that a run writes; every file but the growing metrics.jsonl appears whole or not at all.

    Args:
        out: where; None is runs/TIME-NAME, with -2, -3 … where that is taken.
        name: of the run.
        config: the text of config.toml.
        environment: what environment.json says.
        about: what a reader of the model must know of the data (scaling, shape, classes).
    """

    def __init__(
        self,
        out: Path | str | None,
        name: str = "",
        *,
        config: str = "",
        environment: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(out) if out is not None else Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
        self.about = about or {}
        self._own = out is not None
        self._first = {
            "config.toml": config,
            "environment.json": json.dumps(environment or {}, indent=2) + "\n",
        }
        self._metrics: IO[str] | None = None

    def create(self) -> None:
        """Make the folder, and write what is known before the first step.

        Raises:
            InputError: the folder holds something, or cannot be written.
        """
        with _told(self.path):
            if self._own:
                self.path.mkdir(parents=True, exist_ok=True)
                if any(self.path.iterdir()):
                    raise InputError(f"The folder '{self.path}' is not empty; a run needs a new one.")
            else:
                self.path = _made(self.path)
        for name, text in self._first.items():
            self.write(name, text.encode())

    def write(self, name: str, content: bytes) -> None:
        """Write one file: complete beside its place, then moved there.

        Raises:
            InputError: it cannot be written; a file of that name from before is as it was.
        """
        partial = self.path / f".{name}.partial"
        with _told(self.path / name):
            try:
                with open(partial, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, self.path / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to metrics.jsonl.

        Raises:
            InputError: they cannot be written.
        """
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        with _told(self.path / "metrics.jsonl"):
            if self._metrics is None:
                self._metrics = open(self.path / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115
            self._metrics.write(lines)
            self._metrics.flush()

    def close(self) -> None:
        """No more lines will come."""
        if self._metrics is not None:
            with contextlib.suppress(OSError):  # what could not be written has been told
                self._metrics.close()
            self._metrics = None


def _made(path: Path) -> Path:
    """A new folder by that name or the next; two runs that start at once get one each."""
    for number in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
        path = path.with_name(f"{path.name.removesuffix(f'-{number - 1}')}-{number}")
    raise AssertionError


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot write '{path}': {error.strerror or error}; choose another folder, or make room there."
        ) from error
