"""Where and with what a run was made."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from typing import Any

import numpy
import torch

import surefoot
from surefoot.train import device as devices

__all__ = ["environment"]


def environment(device: torch.device, seed: int, most: int = 1) -> dict[str, Any]:
    """Versions, machine, seed, git commit and command line, as plain values for JSON.

    Args:
        device: where the run computes.
        seed: the run's.
        most: up to how many threads may share a step that one could take.
    """
    return {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "device": devices.describe(device, most),
        "threads": torch.get_num_threads(),
        "surefoot": surefoot.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "mkl": os.environ.get("MKL_CBWR"),  # bits of products go by it
        "processor": torch.backends.cpu.get_cpu_capability(),
        "git": _git(),
    }


def _git() -> dict[str, Any] | None:
    """The commit of the folder the run was started in, and whether files differ from it; None outside git."""
    command = ["git", "status", "--porcelain=v2", "--branch", "-uno"]
    try:
        said = subprocess.run(command, capture_output=True, timeout=5, check=True).stdout
        lines = said.decode("utf-8", "replace").splitlines()  # whatever the system's own encoding is
    except (OSError, subprocess.SubprocessError):
        return None
    about = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit = about.get("branch.oid", "(initial)")
    if commit == "(initial)":  # no commit yet
        return None
    return {"commit": commit, "changed": not all(line.startswith("# ") for line in lines)}
