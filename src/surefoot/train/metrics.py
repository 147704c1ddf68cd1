"""metrics.jsonl: a line for each record of a run, only ever added to."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from surefoot.train.writing import told

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

    def head(self, size: int) -> list[dict[str, Any]]:
        """The records in its first so many bytes.

        Raises:
            ValueError: it is shorter, or a line of these is damaged.
        """
        if size > self.size:
            raise ValueError("metrics.jsonl ends before it")
        records = []
        with told(self.path):
            lines = self.path.read_bytes()[:size].splitlines() if size else []
        for number, line in enumerate(lines, 1):
            try:
                records.append(dict(json.loads(line)))
            except (ValueError, TypeError):
                raise ValueError(f"line {number} of metrics.jsonl is damaged") from None
        return records

    def cut(self, size: int) -> None:
        """Shorten it to that many bytes, before anything is appended."""
        if self.size:
            with told(self.path), open(self.path, "r+b") as file:
                file.truncate(size)
                os.fsync(file.fileno())

    @property
    def status(self) -> str:
        """How the run ended: "running" if it did not."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "running"
        for line in reversed(lines):
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a damaged line says nothing
                last = json.loads(line)
                return str(last["status"]) if last["kind"] == "end" else "running"
        return "running"

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
