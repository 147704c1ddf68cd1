"""`surefoot` in a process that kills itself: test_killed.py runs this file with `given` = (argv, out, at).

`at` is None if somebody else will kill it. Otherwise it is the number of the event at which it dies: before a
file in `out` is opened, renamed, removed or cut; before, while and after its content is flushed to the disk.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

EVENTS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")


def run(argv: list[str], out: str, at: int | None) -> None:
    """Run the command until event `at`; else write how many there were, beside `out`."""
    events = 0
    flush = os.fsync
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def happens() -> None:
        nonlocal events
        events += 1
        if events == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event in EVENTS and str(args[0]).startswith(out):
            happens()

    def fsync(descriptor: int) -> None:
        happens()
        partial = Path(f"/proc/self/fd/{descriptor}").resolve().name.endswith(".partial")
        if partial and events + 1 == at:  # half of it is written
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        happens()
        flush(descriptor)
        happens()

    os.fsync = fsync
    sys.addaudithook(heard)
    from surefoot.cli import main

    code = main(argv)
    total = events
    Path(out).with_name("events").write_text(str(total))
    os._exit(code)


if __name__ == "victim":
    run(*given)  # type: ignore[name-defined]  # noqa: F821
