"""The arrows of the house: who may import whom. An arrow that is not drawn here is a fault of the design."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot

SOURCE = Path(surefoot.__file__).parent

# room -> the rooms it may know; every room may know surefoot.errors and itself
ARROWS = {
    "rules": set(),
    "optim": set(),
    "trace": {"rules"},
    "plot": {"rules", "trace"},
    "explain": {"rules", "trace", "plot"},
    "check": {"rules", "trace", "plot"},
    "train": {"optim", "plot"},
    "cli": {"rules", "optim", "trace", "plot", "explain", "check", "train"},
}


def imported_rooms(file: Path) -> set[str]:
    """The rooms of surefoot that one file imports, wherever in the file it does."""
    package = ["surefoot", *file.relative_to(SOURCE).parent.parts]
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("surefoot.")]
    return {p[1] for p in parts if (SOURCE / p[1]).is_dir()}


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_a_room_knows_only_the_rooms_it_may(room: str) -> None:
    strangers = {
        f"{file.relative_to(SOURCE)} imports surefoot.{other}"
        for file in (SOURCE / room).rglob("*.py")
        for other in imported_rooms(file) - ARROWS[room] - {room}
    }
    assert not strangers, sorted(strangers)


def test_every_room_is_drawn() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms == set(ARROWS)


def test_the_reader_of_imports_sees_each_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    for room in ("a", "b", "c", "d"):
        (tmp_path / room).mkdir()
    file = tmp_path / "a" / "x.py"
    inside = "def f():\n    from surefoot import c\n    from ..d import z\n    from . import w\n"
    file.write_text("import surefoot.b.y\n" + inside)
    assert imported_rooms(file) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("line", ["import surefoot", "import surefoot.cli", "import surefoot.rules"])
def test_importing_costs_nothing_heavy(line: str) -> None:
    heavy = {"torch", "numpy", "sympy", "matplotlib", "mpmath"}
    code = f"import sys; {line}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    assert set(surefoot.__all__) <= set(dir(surefoot))
    for name in surefoot.__all__:
        assert getattr(surefoot, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'surefoot' has no attribute 'sgd'"):
        surefoot.sgd  # noqa: B018
