"""metrics.jsonl: a line for each record of a run, only ever added to."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from surefoot.errors import InputError
from surefoot.runs import record
from surefoot.train.folder.writing import told

__all__ = ["Metrics"]


class Metrics:
    """The file that grows while a run goes on; whatever cannot be written is an InputError.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self._file: IO[bytes] | None = None

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a line for each."""
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        with told(self.path):
            if self._file is None:
                self._file = open(self.path, "ab")  # noqa: SIM115
            self._file.write(lines.encode())
            self._file.flush()

    def sync(self) -> int:
        """See to it that it is on the disk; how many bytes it has."""
        if self._file is not None:
            with told(self.path):
                os.fsync(self._file.fileno())
        return self.size

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def read(self) -> bytes:
        """All of it; nothing where there is none.

        Raises:
            InputError: it is there and cannot be read.
        """
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise InputError(f"Cannot read '{self.path}': {error.strerror or error}.") from error

    def cut(self, size: int, damaged: Collection[int] = ()) -> None:
        """Shorten it to that many bytes, before anything is appended.

        Damaged lines, by number, become blank ones as long: the others stay where they are, and can be read.
        """
        if not self.size:
            return
        with told(self.path), open(self.path, "r+b") as file:
            place = 0
            for number, line in enumerate(file.read(size).split(b"\n") if damaged else (), 1):
                if number in damaged:
                    file.seek(place)
                    file.write(b" " * len(line))
                place += len(line) + 1
            file.truncate(size)
            os.fsync(file.fileno())

    @property
    def end(self) -> dict[str, Any]:
        """The record of how the run ended; empty if it did not."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return {}
        found = (record(line) for line in reversed(lines))
        last = next((one for one in found if one and "kind" in one), {})  # a damaged line says nothing
        return last if last.get("kind") == "end" and "status" in last else {}

    @property
    def status(self) -> str:
        """How the run ended: "running" if it did not."""
        return str(self.end.get("status", "running"))

    @property
    def begun(self) -> bool:
        """Whether it holds more than how the run ended."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return not file.readline().startswith(('{"kind": "end"', "\n")) and self.size > 0
        except OSError:
            return False

    def close(self) -> None:
        """Nothing more will be added."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written has been told
                self._file.close()
            self._file = None
