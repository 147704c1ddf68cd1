"""What runs are called beside each other: by their folders, and by the settings in which they differ."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surefoot.runs import History, optimizer

__all__ = ["apart", "labels"]

_ABOUT = ("name", "out")  # what a run is called is no setting of it
_NONE = ("momentum", "dampening", "weight_decay", "nesterov", "opt", "clip", "warmup")  # that may be left out
_FIRST = ("rule", "model", "optimizer")
_TIMED = re.compile(r"\d{8}-\d{6}-")  # a name made of the time tells little


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
    keys = sorted({key: None for setting in settings for key in setting if key not in _ABOUT}, key=_place)
    differing = [key for key in keys if len({_kind(key, setting.get(key)) for setting in settings}) > 1]
    most = most if not all(map(_TIMED.match, names)) else max(most, 5)
    # "nesterov" or nothing; and of an optimizer without a momentum, nothing about momentum
    said = [[k for k in differing if s.get(k) is not None and s[k] is not False] for s in settings]
    if max(map(len, said)) > most:
        said = [[k for k in keys if s[k] or k not in _NONE] for keys, s in zip(said, settings, strict=True)]
    said = [keys or differing for keys in said]
    if max(map(len, said)) > most and len(set(names)) == len(names):
        return list(names)  # a list cut short would tell less
    told = []
    for keys, setting in zip(said, settings, strict=True):
        parts = [_setting(key, setting.get(key)) for key in keys]
        told.append(", ".join(parts[:most] + ["…"] * (len(parts) > most)))
    count = Counter(told)
    return [
        label if label and count[label] == 1 else f"{name}{f' ({label})' if label else ''}"
        for name, label in zip(names, told, strict=True)
    ]


def _place(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _kind(key: str, value: Any) -> str:
    """What a setting is told from others by: an optimizer that has no momentum, say, is as one with 0."""
    return str(None if key in _NONE and not value else value)


def _setting(key: str, value: Any) -> str:
    without = key in _NONE
    key = key.rpartition(".")[2].replace("_", " ")
    if key == "rule":
        return str(value)
    if key == "optimizer" and value is not None:
        return optimizer(str(value))
    if value is None:
        return f"no {key}" if without else f"{key} by default"
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{key} {value:g}"  # 100, not 100.0
    if key == "opt" and isinstance(value, list):
        return ", ".join(str(each).replace("=", " ", 1) for each in value)
    if isinstance(value, list):
        return f"{key} {' '.join(map(str, value)) or 'none'}"
    if isinstance(value, str) and os.sep in value:
        value = Path(value).name  # of a model, or data; where two are called the same, runs are told by name
    return f"{key} {value}"
