"""The line of a reproduction that makes the optimizer known in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["from_line", "import_line", "registered"]


def from_line(where: str, module: str, name: str) -> str:
    """Import what was named as `where:name`, and was imported as a module of this name."""
    if not where.endswith(".py"):
        return f"from {where} import {name}"
    folder = Path(where).parent
    if module == Path(where).stem and folder == Path():
        return f"from {module} import {name}"
    if module == Path(where).stem:
        return f'import sys; sys.path.insert(0, "{folder.as_posix()}")\nfrom {module} import {name}'
    return f'import runpy\n{name} = runpy.run_path("{Path(where).as_posix()}")["{name}"]'


def import_line(make: Callable[..., Any]) -> str:
    """Import what was given as it is."""
    module, name = getattr(make, "__module__", "__main__"), getattr(make, "__qualname__", "")
    if module == "__main__" or "<locals>" in name or not name:
        return f"# {getattr(make, '__name__', 'make')}: the optimizer under test"
    return f"from {module} import {name.split('.')[0]}"


def registered(imports: str) -> str:
    """The same import, so that pickle finds the class again: a file run by runpy is no module."""
    return re.sub(r'import runpy\n(\w+) = runpy\.run_path\((".*")\)\["\w+"\]', _as_a_module, imports)


def _as_a_module(run: re.Match[str]) -> str:
    name, path = run.groups()
    lines = [
        "import importlib.util, sys",
        f'spec = importlib.util.spec_from_file_location("checked", {path})',
        'checked = sys.modules["checked"] = importlib.util.module_from_spec(spec)',
        "spec.loader.exec_module(checked)",
        f"{name} = checked.{name}",
    ]
    return "\n".join(lines)
