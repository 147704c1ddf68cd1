"""`surefoot completion`."""

from __future__ import annotations

from typing import Literal

from surefoot.cli.kinds import Flag
from surefoot.errors import InputError

__all__ = ["completion"]


def completion(
    shell: Literal["bash", "zsh", "fish", "powershell"] | None = None,
    /,
    *,
    install: Flag = False,
) -> int:
    """Print the shell's completion script, or install it.

    Args:
        shell: Which shell; without it, the one you are in.
        install: Write the script where the shell looks for it, and say where that is.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from surefoot.cli import build

    try:
        shell = shell or detect_shell()
    except ShellDetectionError:
        raise InputError(
            "Which shell this is cannot be seen; name it, bash, zsh, fish or powershell, as in:"
            " surefoot completion bash."
        ) from None
    app = build()
    if install:
        print(f"Installed in {app.install_completion(shell=shell)}; it works in a new shell.")
    else:
        print(app.generate_completion(shell=shell))
    return 0
