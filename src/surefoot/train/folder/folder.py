"""A run's folder: config.toml, environment.json, metrics.jsonl, checkpoints, weights, curves.png."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import tomli_w
from filelock import FileLock

from surefoot.errors import InputError
from surefoot.toml import tomllib
from surefoot.train.folder.lock import LOCK, locked
from surefoot.train.folder.metrics import Metrics
from surefoot.train.folder.same import check_given, check_options
from surefoot.train.folder.writing import at_home, told, whole

__all__ = ["FolderGone", "RunFolder"]

_BEFORE_CONFIG = {"environment.json", ".environment.json.partial", ".config.toml.partial"}


class FolderGone(InputError):
    """The folder was moved or removed while its run went on."""


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
        if (out is not None and not (isinstance(out, (str, os.PathLike)) and str(out))) or "\0" in str(out):
            raise InputError(f"The run folder must be a path, not {out!r}.")
        self.path = (
            at_home(out) if out is not None else Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
        )
        self.about = about or {}
        self._own = out is not None
        self._first = {"config.toml": config, "environment.json": _json(environment or {})}
        self.metrics = Metrics(self.path)
        self._lock: FileLock | None = None
        self._begun = False  # config.toml is there
        self.wrote: set[str] = set()  # files

    def settled(self, name: str) -> Any:
        """An option of the run that the folder holds already; None if it holds none."""
        with contextlib.suppress(OSError, ValueError):
            return self.options.get(name)
        return None

    def create(
        self, *, resume: bool = False, given: Mapping[str, Callable[[], str]] | None = None, **settled: Any
    ) -> bool:
        """Make the folder, and keep others from writing it until `close`.

        Args:
            resume: go on with the run that the folder holds, if it holds one with the same config.
            given: "rows to train on" and the like -> gives what tells that from others.
            settled: options that were decided since the config was written.

        Returns:
            Whether it goes on with a run.

        Raises:
            InputError: the folder holds something else, is being written, or cannot be written.
        """
        if settled:
            config = tomllib.loads(self._first["config.toml"]) | settled
            self._first["config.toml"] = tomli_w.dumps(config)
        with told(self.path):
            if self._own:
                self.path.mkdir(parents=True, exist_ok=True)
            else:
                self.path = _made(self.path)
                self.metrics = Metrics(self.path)
            self._holds_run(resume)  # first of all: no lock is left in a folder of something else
            self._lock = locked(self.path)
        try:
            if self._holds_run(resume):
                self._go_on(given or {})
                self._begun = True
                return True
            if given:
                told_by = {what: mark() for what, mark in given.items()}
                environment = json.loads(self._first["environment.json"])
                self._first["environment.json"] = _json(environment | {"given": told_by})
            # config.toml last: a folder that has one has all
            for name, text in reversed(self._first.items()):
                self.write(name, text.encode())
        except BaseException:
            self.close()
            raise
        self._begun = True
        return False

    def may_hold_this_run(self, resume: bool) -> None:
        """Look before any work is done whether the run may go into this folder.

        Raises:
            InputError: the folder holds something else.
        """
        if self.path.is_dir():
            with told(self.path):
                self._holds_run(resume)

    def _holds_run(self, resume: bool) -> bool:
        """Whether there is a run to go on with."""
        found = {path.name for path in self.path.iterdir()} - {LOCK}
        if "config.toml" in found:
            if not resume:
                raise InputError(
                    f"The folder '{self.path}' already holds a run; resume it, or choose a new folder."
                )
            return True
        if found and not (resume and found <= _BEFORE_CONFIG):
            raise InputError(f"The folder '{self.path}' is not empty; a run requires a new or empty one.")
        return False

    def _go_on(self, given: Mapping[str, Callable[[], str]]) -> None:
        """Check that the run in the folder is this one, and note that it is resumed."""
        with told(self.path):
            then, now = self.options, tomllib.loads(self._first["config.toml"])
            if (then.get("compile"), now.get("compile")) == ("on", "off"):  # whatever was asked for now
                raise InputError(
                    f"The run in '{self.path}' was started with a compiled step, which cannot be made here"
                    " now; resume it where it can, or choose a new folder."
                )
            check_options(self.path, then, now)
            for partial in (*self.path.glob(".*.partial"), *self.path.glob("*/.*.partial")):
                partial.unlink()
        environment = self.environment
        if self.status == "finished":  # it is only read; of one that is not, the checkpoint tells
            was = environment.get("given")  # unless somebody has edited it away
            if isinstance(was, dict):
                check_given(self.path, was, {what: mark() for what, mark in given.items()})
            return
        before = environment.get("resumed")
        environment["resumed"] = [
            *(before if isinstance(before, list) else []), json.loads(self._first["environment.json"])
        ]  # fmt: skip
        self.write("environment.json", _json(environment).encode())

    @property
    def options(self) -> dict[str, Any]:
        """What config.toml says."""
        return dict(tomllib.loads(self._read("config.toml")))

    @property
    def environment(self) -> dict[str, Any]:
        """What environment.json says; nothing if it is not there."""
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(self._read("environment.json"))
            return dict(said) if isinstance(said, dict) else {}
        return {}

    def _read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8-sig")  # an editor may begin with a mark

    @property
    def status(self) -> str:
        """How the run ended: "running" if it did not."""
        return self.metrics.status

    def write(self, name: str, content: bytes) -> None:
        """Write one file, whole.

        Raises:
            InputError: it cannot be written; a file of that name from before is as it was.
        """
        self.check_there()
        whole(self.path / name, content)
        self.wrote.add(name)

    @property
    def gone(self) -> bool:
        """Whether it was moved or removed since the run was begun."""
        with contextlib.suppress(OSError):  # of which a write will tell
            return self._begun and not (self.path / "config.toml").exists()
        return False

    def check_there(self) -> None:
        """Raise FolderGone if it is: a folder made anew in its place would hide that."""
        if self.gone:
            raise FolderGone(f"The run's folder '{self.path}' was moved or removed during the run.")

    def make_anew(self) -> None:
        """Make it once more where it was, for what would be lost."""
        self._begun = False
        with told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more will be written; others may."""
        self.metrics.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _json(environment: Mapping[str, Any]) -> str:
    return json.dumps(environment, indent=2, ensure_ascii=False) + "\n"


def _made(path: Path) -> Path:
    """A new folder by that name or the next; two runs that start at once get one each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        found = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with contextlib.suppress(FileExistsError):
            found.mkdir()
            return found
    raise AssertionError
