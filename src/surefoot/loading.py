"""Files and modules that a user names on a command line, imported; and packages that import theirs late."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # packages that import nothing heavy import this module
    from pathlib import Path

__all__ = [
    "before_torch",
    "called_as",
    "called_later",
    "later",
    "load_file",
    "load_module",
    "parted",
    "user_module",
]


def later(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The __getattr__ of a package that imports nothing before a name is used.

    Args:
        package: its name.
        homes: public name -> the module of the package that defines it.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return find


def called_as(package: str, function: Callable[..., Any]) -> None:
    """Let a package be called as its main function, of which it takes the signature and the help.

    Args:
        package: its name.
        function: of the same name within it.
    """
    name = function.__name__

    class Called(ModuleType):
        __doc__ = f"The module itself, which can be called: `{package}(…)` is `{package}.{name}(…)`."
        __wrapped__ = staticmethod(function)  # its signature, for help() and editors

        def __call__(self, *args: Any, **options: Any) -> Any:
            return function(*args, **options)

    module = sys.modules[package]
    module.__class__ = Called
    module.__doc__ = function.__doc__ or ""  # so that help(surefoot.check) says what to pass


def called_later(package: str, name: str) -> None:
    """As `called_as`, for a package that imports nothing before a name is used: its main function neither.

    Args:
        package: its name.
        name: of its function, which its __getattr__ finds.
    """

    class Called(ModuleType):
        @property
        def __doc__(self) -> str:  # type: ignore[override]
            return str(getattr(self, name).__doc__)

        @property
        def __wrapped__(self) -> Callable[..., Any]:
            return getattr(self, name)  # type: ignore[no-any-return]

        def __call__(self, *args: Any, **options: Any) -> Any:
            return getattr(self, name)(*args, **options)

    sys.modules[package].__class__ = Called


def before_torch() -> None:
    """Import numpy. Where torch's import does, it takes a Ctrl-C for numpy's being away, and goes on."""
    importlib.import_module("numpy")


def parted(spec: str) -> tuple[str, str]:
    r"""`file.py:Class` or `module:Class` as its two parts; the second is empty where no class is named.

    Example:
        >>> parted(r"C:\mine.py:SGD"), parted(r"C:\mine.py"), parted("mine.py")
        (('C:\\mine.py', 'SGD'), ('C:\\mine.py', ''), ('mine.py', ''))
    """
    where, colon, name = spec.rpartition(":")
    return (where, name) if colon and "\\" not in name and "/" not in name else (spec, "")


_LOADED: dict[Path, tuple[bytes, ModuleType]] = {}  # files that run or have run, with what they held then
_AWAY: dict[str, ModuleType] = {}  # modules of files that are out of sight while one of another folder runs


def user_module(where: str) -> ModuleType:
    """Import what a user names: `file.py` or `package.module`.

    A file runs once for as long as it stays as it is: whoever asks for it, its classes are the same. Files of
    one name in several folders have a module each. A file that names itself is found as far as it has run.

    Args:
        where: the file, or the module's name.

    Returns:
        The module.

    Raises:
        Exception: whatever importing it raises.
    """
    from pathlib import Path

    if not where.endswith(".py"):
        return load_module(where)
    path = Path(where).resolve()
    then, module = _LOADED.get(path, (None, None))
    if module is None or then != path.read_bytes() or module is not _named(module.__name__):
        module = load_file(path, _module_name(path))
    return module


def _named(name: str) -> ModuleType | None:
    """The module of this name, also where it is out of sight."""
    return _AWAY.get(name, sys.modules.get(name))


def _module_name(path: Path) -> str:
    """The file's own name, by which it can be imported elsewhere; another where a module has that."""
    plain = re.sub(r"\W", "_", path.stem)
    more = (f"checked_{plain}_{number}" for number in itertools.count(2))
    names = itertools.chain((path.stem, f"checked_{plain}"), more)
    return next(name for name in names if name.isidentifier() and not _of_others(name, path))


def _of_others(name: str, path: Path) -> bool:
    """Whether a module of this name is there, or can be imported, that was not made of this file."""
    module = _named(name)
    if module is None and name not in sys.modules:
        return importlib.util.find_spec(name) is not None
    home = getattr(module, "__file__", None)
    return home is None or os.path.realpath(home) != str(path)


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
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    _LOADED[path] = path.read_bytes(), module  # before it runs: it may name itself
    _AWAY.pop(name, None)
    sys.modules[name] = module
    try:
        with _among_neighbours(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        _LOADED.pop(path, None)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        raise
    return module


@contextmanager
def _among_neighbours(folder: Path) -> Iterator[None]:
    """Let a folder's files be imported, and no file of another folder that has run here under such a name."""
    away = {
        module.__name__: module
        for path, (_, module) in _LOADED.items()
        if path.parent != folder and sys.modules.get(module.__name__) is module
    }
    for name in away:
        del sys.modules[name]
    _AWAY.update(away)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:  # a file may change it, too
            sys.path.remove(str(folder))
        for name, module in away.items():
            if _AWAY.get(name) is module:  # else its file has run anew
                sys.modules[name] = _AWAY.pop(name)


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
    here = os.getcwd()
    if "" in sys.path or here in sys.path:
        return importlib.import_module(name)
    sys.path.insert(0, here)  # a command has its own folder first; the user means theirs
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)
        sys.path.append(here)  # what it imports later, it finds there too
