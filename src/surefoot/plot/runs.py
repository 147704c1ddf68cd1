"""Run folders as the pictures need them: the records of metrics.jsonl, and what config.toml says."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surefoot.errors import InputError
from surefoot.toml import tomllib

__all__ = ["History", "apart", "labels", "read"]

_ABOUT = ("name", "out")  # what a run is called is no setting of it


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
        raise InputError(f"There is no run's folder '{folder}'.")
    file = folder / "metrics.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{folder}' is no run's folder: cannot read its metrics.jsonl.") from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():  # was damaged, and blanked
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError
        except ValueError:
            if number < len(lines):
                raise InputError(f"Line {number} of '{file}' is no JSON record.") from None
        else:
            records.append(record)
    path = folder.resolve()
    return History(path.name, records, _config(folder / "config.toml"), path)


def _config(file: Path) -> dict[str, Any]:
    try:
        return _flat(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read '{file}': {error}.") from None


def _flat(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, Mapping) else {path + key: value}
    return flat


def apart(histories: Sequence[History]) -> list[str]:
    """Names that tell runs apart: with as many of their folders' own folders as it takes, or numbered.

    Example:
        >>> apart([History("run", [], {}, Path(folder)) for folder in ("a/run", "b/run")])
        ['a/run', 'b/run']
        >>> apart([History("MLP", []), History("MLP", [])])
        ['MLP 1', 'MLP 2']
    """
    deepest = max((len(h.path.parts) for h in histories if h.path is not None), default=1)
    for depth in range(1, deepest + 1):
        names = ["/".join(h.path.parts[-depth:]) if h.path is not None else h.name for h in histories]
        if len(set(names)) == len(names):
            return names
    names = [h.name for h in histories]
    return [
        f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def labels(names: Sequence[str], settings: Sequence[Mapping[str, Any]], most: int = 3) -> list[str]:
    """Label things by the settings in which they differ, and by name where that does not tell them apart.

    Example:
        >>> labels(["a", "b"], [{"lr": 0.1, "seed": 0}, {"lr": 0.05, "seed": 0}])
        ['lr 0.1', 'lr 0.05']
    """
    if len(names) == 1:
        return list(names)
    keys = dict.fromkeys(key for setting in settings for key in setting if key not in _ABOUT)
    differing = [key for key in keys if len({str(setting.get(key)) for setting in settings}) > 1]
    if len(differing) > most and len(set(names)) == len(names):
        return list(names)  # a list cut short would tell less
    told = []
    for setting in settings:
        # "nesterov" or nothing
        said = [key for key in differing if setting.get(key) is not False] or differing
        parts = [_setting(key, setting.get(key)) for key in said]
        told.append(", ".join(parts[:most] + ["…"] * (len(parts) > most)))
    count = Counter(told)
    return [
        label if label and count[label] == 1 else f"{name}{f' ({label})' if label else ''}"
        for name, label in zip(names, told, strict=True)
    ]


def _setting(key: str, value: Any) -> str:
    key = key.rpartition(".")[2].replace("_", " ")
    if key == "rule":
        return str(value)
    if value is None:
        return f"{key} by default"
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, list):
        return f"{key} {' '.join(map(str, value)) or 'none'}"
    if isinstance(value, str) and os.sep in value:
        value = Path(value).name  # of a model, or data; where two are called the same, runs are told by name
    return f"{key} {value}"
