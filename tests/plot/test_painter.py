"""The process that draws while a training goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from surefoot.plot import painter

RECORDS = [
    {"kind": "step", "step": 1, "epoch": 1, "loss": 0.1 + 0.2, "lr": 0.1},
    {"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 0.3, "valid_loss": 0.4, "valid_accuracy": 0.5},
]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_it_draws_what_this_process_would_draw() -> None:
    with painter.hired():
        assert painter._painter is not None
        there = painter.begun("mlp", RECORDS)()
        assert painter._painter is None  # it has drawn, and is gone
    assert there.startswith(b"\x89PNG")
    assert there == painter.begun("mlp", RECORDS)()


def test_it_draws_while_this_process_does_something_else() -> None:
    with painter.hired():
        picture = painter.begun("mlp", RECORDS)
        process = painter._painter
        assert process is not None
        assert process.wait(60) == 0  # nobody waits for it yet; what it drew is in the pipe
        assert picture().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform == "win32", reason="it stops a process by a signal")
def test_nobody_waits_for_one_that_does_not_read_yet() -> None:
    many = [{**RECORDS[0], "step": step} for step in range(1, 5000)]  # more than a pipe holds
    with painter.hired():
        process = painter._painter
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        picture = painter.begun("mlp", many)
        assert painter.begun("other", RECORDS)().startswith(b"\x89PNG")  # it has its run: this process draws
        process.send_signal(signal.SIGCONT)
        assert picture() == painter.begun("mlp", many)()


@pytest.mark.skipif(sys.platform == "win32", reason="it stops a process by a signal")
def test_one_that_is_let_go_before_it_has_been_sent_everything() -> None:
    """As where a run's weights cannot be written: no word of it, such as pytest's of a thread's exception."""
    many = [{**RECORDS[0], "step": step} for step in range(1, 5000)]
    with painter.hired():
        assert painter._painter is not None
        painter._painter.send_signal(signal.SIGSTOP)
        painter.begun("mlp", many)


def test_one_whose_picture_nobody_takes_is_gone_afterwards() -> None:
    with painter.hired():
        process = painter._painter
        painter.begun("mlp", RECORDS)
    assert process is not None
    assert process.returncode is not None


def test_with_one_core_none_is_hired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with painter.hired():
        assert painter._painter is None
        assert painter.begun("mlp", RECORDS)().startswith(b"\x89PNG")


def test_where_no_process_can_be_started_this_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with painter.hired():
        assert painter._painter is None
        assert painter.begun("mlp", RECORDS)().startswith(b"\x89PNG")


def test_one_that_dies_is_replaced_by_this_process() -> None:
    with painter.hired():
        assert painter._painter is not None
        painter._painter.kill()
        painter._painter.wait()
        assert painter.begun("mlp", RECORDS)().startswith(b"\x89PNG")


def test_one_that_is_not_needed_is_gone_afterwards() -> None:
    with painter.hired():
        process = painter._painter
    assert process is not None
    assert process.returncode is not None


def test_a_file_in_the_current_folder_is_not_taken_for_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with painter.hired():
        process = painter._painter
        assert painter.begun("mlp", RECORDS)().startswith(b"\x89PNG")
    assert process is not None
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it kills by signals")
def test_it_ends_when_the_training_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import os, time; os.cpu_count = lambda: 2; from surefoot.plot import painter\n"
        "with painter.hired():\n"
        f"    open({str(note)!r}, 'w').write(f'{{painter._painter.pid}}\\n')\n"
        "    time.sleep(60)"
    )
    training = subprocess.Popen([sys.executable, "-c", code])
    while not (note.exists() and note.read_text().endswith("\n")):
        time.sleep(0.01)
        assert training.poll() is None
    training.send_signal(signal.SIGKILL)
    training.wait()
    drawing = int(note.read_text())
    for _ in range(1000):
        if not _alive(drawing):
            return
        time.sleep(0.02)
    os.kill(drawing, signal.SIGKILL)
    pytest.fail("it went on")


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        try:
            os.kill(process, 0)
        except OSError:
            return False
        return not Path("/proc/self").exists()
