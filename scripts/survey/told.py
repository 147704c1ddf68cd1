"""The programs that docs/survey.md shows, run: each must print, or raise, what its comments say.

A line is `print(…)  # what it prints`, or its comment names the exception that it raises, whose text may be
cut with an ellipsis. What a program imports tells in which environment it is run; torch is in all of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from libraries import LIBRARIES, ROOT, environment, surroundings

PAGE = ROOT / "docs" / "survey.md"
SAID = re.compile(r"^ *(?P<code>\S.*?)\s\s+# (?P<said>.+)$")


def programs(page: Path = PAGE) -> list[str]:
    """Return the programs of the page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def library(program: str) -> str:
    """Return the library that a program is about."""
    imported = re.findall(r"^(?:from|import) (\w+)", program, re.MULTILINE)
    for name, plan in LIBRARIES.items():
        packages = {m.split(".")[0] for m in (*plan["modules"], *plan.get("own", []))} - {"torch"}
        if packages & set(imported):
            return name
    return "torch"


def wrong(program: str, python: Path | str) -> list[str]:
    """Run a program; return what did not come as its comments say."""
    ran = subprocess.run([python, "-"], input=program, capture_output=True, text=True, env=surroundings())
    came = ran.stdout.split("\n")
    last = (ran.stderr.strip().splitlines() or [""])[-1]
    complaints = []
    raises = False
    for line in program.splitlines():
        if not (found := SAID.match(line)):
            continue
        said = found["said"]
        if found["code"].startswith("print("):
            if said in came:  # a library may print besides
                came = came[came.index(said) + 1 :]
            else:
                complaints.append(f"{said!r} was said, {came[0]!r} came")
        elif re.match(r"\w+(Error|Exception)\b", said):
            raises = True
            if not (last.endswith(said) or (said.endswith("…") and said[:-1] in last)):
                complaints.append(f"{said!r} was said, {last!r} came")
    if ran.returncode and not raises:
        complaints.append(f"it raises {last!r}")
    return complaints


def run(where: Path) -> int:
    """Run all programs; return 1 if any shows something else than it says."""
    failed = 0
    for program in programs():
        name = library(program)
        complaints = wrong(program, environment(where, name))
        failed |= bool(complaints)
        first = next(x for x in program.splitlines() if not x.startswith(("import torch", "import copy")))
        print(f"{name}: {first}: {'; '.join(complaints) or 'as said'}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]).resolve()))
