"""Files and modules that a user names on a command line, imported."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

__all__ = ["before_torch", "load_file", "load_module", "parted", "quick_frames"]


def before_torch() -> None:
    """Import numpy. Where torch's import does, it takes a Ctrl-C for numpy's being away, and goes on."""
    importlib.import_module("numpy")


_lock = threading.Lock()
_importing = 0  # how many import torch just now


@contextlib.contextmanager
def quick_frames() -> Iterator[None]:
    """Inside `with`, inspect finds the module of a frame by its name.

    torch asks where its operators are registered. inspect then resolves the paths of all modules that it does
    not know yet, first of all of them a thousand: 40 ms of torch's import, and as much of torch._dynamo's.
    """
    global _importing
    with _lock:
        _importing += 1
        inspect.getmodule = _module_of
    try:
        yield
    finally:
        with _lock:
            _importing -= 1
            if not _importing:
                inspect.getmodule = _search


def _module_of(object: Any, _filename: str | None = None) -> ModuleType | None:
    if isinstance(object, FrameType):
        return sys.modules.get(object.f_globals.get("__name__", ""))
    return _search(object, _filename)


_search = inspect.getmodule


def parted(spec: str) -> tuple[str, str]:
    r"""`file.py:Class` or `module:Class` as its two parts; the second is empty where no class is named.

    Example:
        >>> parted(r"C:\mine.py:SGD"), parted(r"C:\mine.py"), parted("mine.py")
        (('C:\\mine.py', 'SGD'), ('C:\\mine.py', ''), ('mine.py', ''))
    """
    where, colon, name = spec.rpartition(":")
    return (where, name) if colon and "\\" not in name and "/" not in name else (spec, "")


def load_file(path: Path, name: str) -> ModuleType:
    """Run a file as the module of this name, under which pickling finds its classes again.

    Args:
        path: the file; while it runs, its neighbours can be imported, as when Python runs it.
        name: of the module, without a dot; one of that name is replaced.

    Returns:
        The module.

    Raises:
        Exception: whatever the file raises.
    """
    before_torch()
    path = path.resolve()
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        if str(path.parent) in sys.path:  # the file may change it, too
            sys.path.remove(str(path.parent))
    return module


def load_module(name: str) -> ModuleType:
    """Import a module by its name, also from the current folder.

    Args:
        name: as in an import statement.

    Returns:
        The module.

    Raises:
        Exception: whatever importing it raises.
    """
    before_torch()
    here = str(Path.cwd())
    if "" in sys.path or here in sys.path:
        return importlib.import_module(name)
    sys.path.insert(0, here)  # a command has its own folder first; the user means theirs
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)
        sys.path.append(here)  # what it imports later, it finds there too
