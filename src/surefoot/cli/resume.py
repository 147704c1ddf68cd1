"""`surefoot resume`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

__all__ = ["resume"]


def resume(run: Path, /) -> int:
    """Resume a run that was stopped or killed, from its last checkpoint, as if it had never stopped.

    For example:
      surefoot resume runs/20250101-120000-mlp

    A run that diverged is not resumed; the message says how to start another.
    Exit codes are those of surefoot train.

    Args:
        run: The run's folder.
    """
    from surefoot.cli.train import carry_out

    return carry_out("resume", run, mkl=_mkl(run))


def _mkl(run: Path) -> str | None:
    """What MKL was asked when the run was begun: it must be asked the same, and before torch is imported."""
    with suppress(OSError, ValueError, AttributeError):
        asked = json.loads((run / "environment.json").read_text(encoding="utf-8")).get("mkl")
        return asked if isinstance(asked, str) else None
    return None
