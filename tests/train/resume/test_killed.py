"""Killed at any moment, a run loses nothing: resumed, it ends as if nobody had touched it."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import runpy
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

VICTIM = Path(__file__).parent / "victim.py"
OPTIONS = ["--hidden", "16", "--epochs", "2", "--batch-size", "128", "--threads", "1"]
OPTIONS += ["--validate-every", "20 steps", "--checkpoint-every", "9 steps"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


class Runs:
    """Starts `surefoot` in processes forked from one that has torch in memory already."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.out = home / "run"
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["surefoot.train.job", "matplotlib.figure"])

    def start(self, at: int | None = None) -> BaseProcess:
        """Begin the run, or go on with it."""
        argv = ["train", *OPTIONS, "--out", str(self.out)]
        if (self.out / "config.toml").exists():
            argv = ["resume", str(self.out)]
        elif self.out.exists():  # killed before there was anything to resume
            for path in self.out.iterdir():
                path.unlink()
        given = {"given": (argv, str(self.out), at)}
        process = self.context.Process(target=runpy.run_path, args=(str(VICTIM), given, "victim"))
        process.start()
        return process

    def finish(self, at: int | None = None) -> int | None:
        """Wait for its end; its exit code."""
        process = self.start(at)
        process.join(60)
        return process.exitcode

    def result(self) -> dict[str, Any]:
        """All that it left, but for times and pictures."""
        lines = (self.out / "metrics.jsonl").read_text().splitlines()
        records = [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]
        steps = [r["step"] for r in records if r["kind"] == "step"]
        assert steps == list(range(1, len(steps) + 1))
        assert not list(self.out.rglob("*.partial"))
        assert len(list((self.out / "checkpoints").iterdir())) == 2
        names = ("model.safetensors", "best.safetensors")
        return {"records": records} | {name: (self.out / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float, int]:
    """An uninterrupted run: what it left, how long it took, how many events there were."""
    runs = Runs(tmp_path_factory.mktemp("whole"))
    assert runs.finish() == 0  # the first one also starts the server
    began = time.monotonic()
    again = Runs(tmp_path_factory.mktemp("again"))
    assert again.finish() == 0
    seconds = time.monotonic() - began
    assert runs.result() == again.result()  # one seed is one result
    return runs.result(), seconds, int((again.home / "events").read_text())


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def kill_at_random(runs: Runs, kills: int, seconds: float, seed: int) -> int:
    """Kill it at random moments until it ends or was killed so often; how often it was."""
    draw = random.Random(seed)
    for killed in range(kills):
        process = runs.start()
        process.join(draw.uniform(0, seconds))
        if process.exitcode is not None:
            assert process.exitcode == 0
            return killed
        process.kill()
        process.join()
    assert runs.finish() == 0
    return kills


def test_killed_at_random_moments(runs: Runs, whole: Any) -> None:
    expected, seconds, _ = whole
    kill_at_random(runs, 4, seconds, seed=1)
    assert runs.result() == expected


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.85])
def test_killed_while_it_writes(runs: Runs, whole: Any, share: float) -> None:
    expected, _, events = whole
    assert runs.finish(at=round(share * events)) == -9
    assert runs.finish() == 0
    assert runs.result() == expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_fifty_random_moments(tmp_path: Path, whole: Any) -> None:
    expected, seconds, _ = whole
    killed = seed = 0
    while killed < 50:
        seed += 1
        home = tmp_path / str(seed)
        home.mkdir()
        runs = Runs(home)
        killed += kill_at_random(runs, 5, seconds, seed)
        assert runs.result() == expected
    print(f"killed {killed} times in {seed} runs")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_every_event(tmp_path: Path, whole: Any) -> None:
    """Before each file is opened, renamed, removed or cut, before and after each is flushed, and half-way."""
    expected, _, events = whole
    for at in range(1, events + 1):
        home = tmp_path / str(at)
        home.mkdir()
        runs = Runs(home)
        assert runs.finish(at=at) == -9
        assert runs.finish(at=1 + at % 10) in (-9, 0)  # and again while it resumes
        assert runs.finish() == 0
        assert runs.result() == expected
    print(f"killed at each of {events} events, and once more while resuming")


def test_two_processes_are_one_result(tmp_path: Path) -> None:
    """Same seed, same result, in processes that share nothing."""
    for name in ("a", "b"):
        command = [sys.executable, "-m", "surefoot", "train", *OPTIONS, "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b
