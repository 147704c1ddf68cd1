"""Put the real output of each `$ surefoot explain|identify|gradients|convert …` of a page into its block.

python scripts/docs_console.py docs/{explain,identify,gradients,convert,tutorial}.md
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(
    r"(?P<head>^```console\n\$ (?P<command>surefoot (?:explain|identify|gradients|convert) .*)\n)"
    r"(?P<output>(?:.*\n)*?)(?P<end>```$)",
    re.MULTILINE,
)


def refresh(page: str) -> str:
    """The page with the output that its commands have now, errors included."""
    return _BLOCK.sub(lambda m: m["head"] + _output(m["command"]) + m["end"], page)


def _output(command: str) -> str:
    arguments = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", *arguments], capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100"}, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(refresh(file.read_text(encoding="utf-8")), encoding="utf-8")
