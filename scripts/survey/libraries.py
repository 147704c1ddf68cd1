"""Which libraries are examined, each in an environment of its own, and what was found in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LIBRARIES: dict[str, dict[str, Any]] = tomllib.loads((HERE / "libraries.toml").read_text(encoding="utf-8"))
JUDGED: list[dict[str, Any]] = tomllib.loads((HERE / "judged.toml").read_text(encoding="utf-8"))["judged"]
TORCH = "torch==2.13.0"


def environment(where: Path, library: str) -> Path:
    """Return the Python of a library's environment, which is made if it is not there."""
    home = where / "env" / library
    python = home / "bin" / "python"
    if not python.exists():
        base = _base(where)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
        (site,) = home.glob("lib/python3.*/site-packages")
        (beside,) = base.parents[1].glob("lib/python3.*/site-packages")
        (site / "base.pth").write_text(f"{beside}\n", encoding="utf-8")
        if library != "torch":
            _pip(base, "--python", python, "install", "-q", "-c", ROOT / "constraints.txt", library)
    return python


def surroundings() -> dict[str, str]:
    """Return the environment variables: this checkout of surefoot, and what makes runs alike."""
    fixed = {
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
        "MALLOC_PERTURB_": "85",  # no memory is zero by chance
        "TORCHDYNAMO_DISABLE": "1",  # compiling a step takes longer than a check waits for it
    }
    return {**os.environ, **fixed}


def found(where: Path) -> list[dict[str, Any]]:
    """Return what was found, in the order of libraries.toml: an object for each optimizer and path."""
    files = [where / "found" / f"{library}.jsonl" for library in LIBRARIES]
    lines = [line for f in files if f.exists() for line in f.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def _base(where: Path) -> Path:
    """Return the Python of the environment that all others see: torch, and what surefoot needs."""
    python = where / "env" / "base" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        _pip(python, "install", "-q", "-c", ROOT / "constraints.txt", TORCH, ROOT)
    return python


def _pip(python: Path, *arguments: str | Path) -> None:
    subprocess.run([python, "-m", "pip", *arguments], check=True)
