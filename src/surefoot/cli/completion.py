"""`surefoot completion`."""

from __future__ import annotations

from typing import Literal

__all__ = ["completion"]


def completion(
    shell: Literal["bash", "zsh", "fish", "powershell"] | None = None, /, *, install: bool = False
) -> int:
    """Print the shell's completion script, or install it.

    Args:
        shell: Which shell; without it, the one you are in.
        install: Write the script where the shell looks for it, and say where that is.
    """
    from surefoot.cli import build

    app = build()
    if install:
        print(f"Installed in {app.install_completion(shell=shell)}; it works in a new shell.")
    else:
        print(app.generate_completion(shell=shell))
    return 0
