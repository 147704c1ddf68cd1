"""`surefoot completion`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Literal

from surefoot.cli.kinds import Flag
from surefoot.errors import InputError

__all__ = ["completion"]

Shell = Literal["bash", "zsh", "fish", "powershell"]

_STARTS = {"bash": ".bashrc", "zsh": ".zshrc"}

# the folder that bash-completion loads scripts from by itself, where the user's shell has it
_ASK = (
    "echo ${BASH_COMPLETION_VERSINFO:+"
    "${BASH_COMPLETION_USER_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/bash-completion}/completions}"
)


def completion(shell: Shell | None = None, /, *, install: Flag = False) -> int:
    """Print or install the shell's completion script.

    For example:
      surefoot completion --install
      surefoot completion bash > surefoot.bash

    Args:
        shell: The shell. [default: your current shell]
        install: Write the script where the shell looks for it, and add a line to its start-up file if needed.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from surefoot.cli import build

    try:
        shell = shell or detect_shell()
    except ShellDetectionError:
        raise InputError(
            "Cannot detect the shell; name it (bash, zsh, fish or powershell), as in:"
            " surefoot completion bash."
        ) from None
    app = build()
    script = app.generate_completion(shell=shell)
    if (
        shell == "bash"
    ):  # files are the shell's own, which knows folders and spaces, wherever nothing else fits
        script = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
        script = script.replace("complete -F", "complete -o default -o bashdefault -F")
    if install:
        print(_installed(app, shell, script))
    else:
        print(script)
    return 0


def _installed(app: Any, shell: Shell, script: str) -> str:
    """Write the script, and a line that loads it where that is needed; say what was written."""
    start = _start_file(shell)
    before = _content(start)
    path = app.install_completion(shell=shell, add_to_startup=False)
    path.write_text(script, encoding="utf-8")
    if not (shell == "bash" and _loaded_by_itself(path.parent)):
        app.install_completion(shell=shell, output=path, add_to_startup=True)
        path.write_text(script, encoding="utf-8")
    written = f"Written: {path}"
    if start is not None and _content(start) != before:
        written += f", and added a line to {start} that loads it"
    return f"{written}. It takes effect in a new shell."


def _start_file(shell: Shell) -> Path | None:
    if shell == "powershell":
        from cyclopts.completion.install import powershell_profile

        return powershell_profile()
    return Path.home() / _STARTS[shell] if shell in _STARTS else None


def _content(file: Path | None) -> bytes:
    return file.read_bytes() if file is not None and file.exists() else b""


def _loaded_by_itself(folder: Path) -> bool:
    """Whether bash, as the user starts it, has bash-completion look into the folder."""
    try:
        told = subprocess.run(
            ["bash", "-ic", _ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
            start_new_session=True, check=False,  # the session: an interactive shell would take the terminal
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return told.stdout.rstrip().rpartition("\n")[2] == str(folder)
