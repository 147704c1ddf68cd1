"""Whatever becomes of the output, the work is done."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from surefoot.cli import main, streams
from surefoot.plot import painter
from surefoot.train import progress

TRAIN = [sys.executable, "-m", "surefoot", "train", "--data", "rows.npz", "--out", "run"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez("rows.npz", x=x, y=(x[:, 0] > 0).astype(int))


def finished() -> bool:
    return Path("run/metrics.jsonl").read_text().endswith('{"kind": "end", "status": "finished"}\n')


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_training_outlives_its_reader(unbuffered: str) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen(TRAIN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"rows: 48 training and 12 validation rows")
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert finished()


class Unread(io.StringIO):
    """A pipe of Windows whose reader has gone."""

    def write(self, text: str) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_reader_that_has_gone_is_known_on_windows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Unread())
    assert main(["check", "--list"]) == 2  # here, an invalid argument is one
    assert capsys.readouterr().err == "surefoot: Cannot read or write: Invalid argument.\n"
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["check", "--list"]) == 0
    assert capsys.readouterr().err == ""
    with streams.lasting():
        print("the training goes on")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
@pytest.mark.parametrize("hung_up", [False, True], ids=["nohup", "SIGHUP"])
def test_a_training_outlives_its_terminal(hung_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is closed right at an epoch's end; if the signal is not ignored, it stops the run as elsewhere."""
    ours, its = os.openpty()
    told = progress.say

    def closing(text: str) -> None:
        if text.startswith("  1/3"):
            os.close(ours)
            if hung_up:
                signal.raise_signal(signal.SIGHUP)
        told(text)

    monkeypatch.setattr(progress, "say", closing)
    monkeypatch.setattr(painter, "begun", lambda *_: bytes)  # drawing takes longer than all else here
    with open(its, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        code = main(["train", "--data", "rows.npz", "--out", "run", "--epochs", "3"])
        print("there is none", flush=True)
    if hung_up:
        assert code == 129
        assert [path.name for path in Path("run/checkpoints").iterdir()] == ["step-000000002.safetensors"]
        assert '"status": "interrupted"' in Path("run/metrics.jsonl").read_text()
    else:
        assert code == 0
        assert finished()


class Disk(io.RawIOBase):
    """One that is full at times."""

    def __init__(self) -> None:
        self.full, self.content = False, b""
        self._null = os.open(os.devnull, os.O_WRONLY)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._null

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data)
        return len(data)


def test_a_log_whose_disk_is_full_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(disk)))
    with streams.lasting():
        print("heading", flush=True)
        disk.full = True
        print("first", flush=True)
        disk.full = False
        print("second", flush=True)
        disk.full = True
        print("third", flush=True)
    disk.full = False
    assert disk.content.split() == [b"heading", b"first", b"second"]
    os.close(disk.fileno())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_from_the_start_is_told_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        sys.stdout.flush()  # of nothing, which it takes
        assert main(["train", "--data", "rows.npz", "--out", "run"]) == 2
    assert capsys.readouterr().err == "surefoot: Cannot write to standard output: No space left on device.\n"
    assert not Path("run").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_where_not_even_the_sentence_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert main(["train", "--lr", "fast"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
def test_a_training_without_output() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *TRAIN], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert finished()


@pytest.mark.parametrize("encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_letters_that_the_terminal_lacks(encoding: dict[str, str]) -> None:
    x = np.arange(40.0).reshape(20, 2)
    np.savez("rows.npz", x=x, y=x.sum(1) / 50)
    env = {**os.environ, "PYTHONCOERCECLOCALE": "0", **encoding}
    done = subprocess.run(
        [*TRAIN, "--task", "regression"], capture_output=True, text=True, env=env, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "R^2" in done.stdout
    assert "rows: 16 training and 4 validation rows" in done.stdout
    assert "?" not in done.stdout


@pytest.mark.parametrize(("chosen", "written"), [(None, "μ ✓"), ("cp1252", "mu ok")])
def test_what_windows_writes_to_a_file_is_utf_8(
    chosen: str | None, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    if chosen:
        monkeypatch.setenv("PYTHONIOENCODING", chosen)
    with open("page.html", "w", encoding="cp1252") as page:
        monkeypatch.setattr(sys, "stdout", page)
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setitem(sys.modules, "colorama", SimpleNamespace(just_fix_windows_console=lambda: None))
        streams.lenient()
        print("μ ✓", end="")
    assert Path("page.html").read_bytes().decode() == written


def test_windows_console_is_asked_to_show_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    colorama = SimpleNamespace(just_fix_windows_console=lambda: asked.append("colours"))
    monkeypatch.setitem(sys.modules, "colorama", colorama)
    streams.lenient()
    assert not asked
    monkeypatch.setattr(sys, "platform", "win32")
    streams.lenient()
    assert asked == ["colours"]


def test_what_a_model_printed_before_it_failed_is_not_lost() -> None:
    Path("net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, outputs):\n"
        "        super().__init__(2, outputs)\n"
        "    def forward(self, x):\n"
        "        print('forward')\n"
        "        if self.training:\n"
        "            raise ValueError('enough')\n"
        "        return super().forward(x)\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [*TRAIN, "--model", "net.py:Net"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "surefoot: The model 'net.py:Net' raises ValueError: enough (net.py, line 8).\n"
    assert done.stdout.count("forward") >= 2


@pytest.mark.parametrize(
    "args",
    [
        ["explain", "adam", "--at", "w=1", "--gradient", "w=0.5"],
        ["convert", "--from", "keras", "--to", "torch"],
        ["identify", "torch.optim:SGD", "--option", "momentum=0.9"],
        ["check", "torch.optim:SGD", "--only", "hooks", "--option", "momentum=0.9"],
    ],
)
def test_lines_are_as_long_as_columns_says(
    args: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {}
    for columns in ("60", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        main(args)
        _, *lines = capsys.readouterr().out.splitlines()  # the headline is a sentence in one piece
        shown[columns] = max(map(len, lines))
        assert shown[columns] <= int(columns)
    assert args[0] == "check" or shown["60"] < shown["100"]
