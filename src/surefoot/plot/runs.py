"""What runs are called beside each other: by their folders, and by the settings in which they differ."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surefoot.runs import History

__all__ = ["apart", "labels"]

_ABOUT = ("name", "out")  # what a run is called is no setting of it


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
