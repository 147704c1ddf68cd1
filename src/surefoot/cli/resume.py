"""`surefoot resume`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resume"]


def resume(run: Path, /) -> int:
    """Go on with a run that was stopped or killed, from its last checkpoint, as if it had never stopped.

    Args:
        run: The run's folder.
    """
    from surefoot.cli.train import carry_out
    from surefoot.train.folder import RunFolder

    if RunFolder(run).status == "finished":
        print(f"The run '{run}' is finished; there is nothing left to do.")
    return carry_out("resume", run)
