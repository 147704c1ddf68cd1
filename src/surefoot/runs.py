"""A run's folder read back: the records of metrics.jsonl, and what config.toml says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surefoot.errors import InputError
from surefoot.toml import tomllib

__all__ = ["History", "config", "optimizer", "read", "record", "records"]


@dataclass(frozen=True)
class History:
    """What a run wrote down.

    Args:
        name: of its folder.
        records: the lines of metrics.jsonl.
        config: the settings of config.toml, tables flattened to "table.key".
        path: of the folder, if there is one.
    """

    name: str
    records: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None


def record(line: bytes) -> dict[str, Any] | None:
    """The record that a line of metrics.jsonl holds; None where it is blank or damaged."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def records(content: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """The records of metrics.jsonl, and the numbers of lines that hold none though they are not blank."""
    lines = content.split(b"\n")
    found = [record(line) for line in lines]
    damaged = [n for n, line in enumerate(lines, 1) if found[n - 1] is None and line.strip()]
    return [one for one in found if one is not None], damaged


def read(folder: Path | str) -> History:
    """Read a run's folder; a last line that was cut off is left out, a missing config.toml is empty.

    Args:
        folder: the run's.

    Returns:
        The History: its records and its options.

    Raises:
        InputError: there is no such folder, or no metrics in it that can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no run folder '{folder}'.")
    file = folder / "metrics.jsonl"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"'{folder}' is not a run folder: cannot read its metrics.jsonl.") from error
    found, damaged = records(content)
    last = content.count(b"\n") + (not content.endswith(b"\n"))
    if damaged and damaged[0] < last:
        raise InputError(f"Line {damaged[0]} of '{file}' is not a JSON record.")
    path = folder.resolve()
    return History(path.name, found, config(folder / "config.toml"), path)


def config(file: Path) -> dict[str, Any]:
    """The settings in a run's config.toml, tables flattened; none where there is no such file."""
    try:
        return _flat(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read '{file}': {error}.") from None


def optimizer(spec: str) -> str:
    """What an optimizer of config.toml is called: of torch's and surefoot's own, no module is told.

    Example:
        >>> optimizer("torch.optim.adamw:AdamW"), optimizer("surefoot.optim.sgd:SGD")
        ('AdamW', 'sgd')
        >>> optimizer("/home/me/homework.py:SGD"), optimizer("sgd"), optimizer("__main__:SGD")
        ('homework.py:SGD', 'sgd', '__main__:SGD')
    """
    home, _, name = spec.rpartition(":")
    if home.partition(".")[0] == "surefoot" and name == "SGD":
        return "sgd"  # by which it is chosen
    if home == "torch.optim" or home.startswith("torch.optim."):
        return name
    return f"{home.replace(os.sep, '/').rpartition('/')[2]}:{name}" if home else name


def _flat(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, Mapping) else {path + key: value}
    return flat
