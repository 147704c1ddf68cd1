"""Ctrl-C and the other signals, before a training sees to them itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SENT = """
import os, signal, sys, time
class Sends:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            try:
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))
                time.sleep(5)
            except BaseException:  # as of a module that takes it for an error of what it tries to import
                pass
sys.meta_path.insert(0, Sends())
from surefoot.cli import command
command()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals")
@pytest.mark.parametrize(
    "module", ["numpy.linalg", "cyclopts", "surefoot.cli.train", "torch", "surefoot.train.folder.saved"]
)
@pytest.mark.parametrize(
    ("command", "code"), [("train", 130), ("train", 143), ("train", 129), ("predict", 130)]
)
def test_a_signal_while_modules_are_imported(module: str, command: str, code: int, tmp_path: Path) -> None:
    module = module.replace(".train", f".{command}") if module.startswith("surefoot.cli") else module
    more = {"AT": module, "SIGNAL": str(code - 128)}
    done = subprocess.run(
        [sys.executable, "-c", SENT, command, *["none", "rows.npz"][: 2 * (command == "predict")]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | more,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")


def test_an_interrupt_in_a_callback_is_not_lost() -> None:
    work = (
        "import os, signal, time, weakref, surefoot.cli as cli\n"
        "def work():\n"
        "    thing = type('Thing', (), {})()\n"
        "    ref = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))\n"
        "    del thing\n"
        "    time.sleep(30)\n"
        "cli.build = lambda asked: lambda *args, **options: work()"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{work}\ncli.command()"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
