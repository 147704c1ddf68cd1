"""Where and with what a run was made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

import surefoot
from surefoot.train.environment import environment


def _git(*args: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *args], capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    noted = environment(torch.device("cpu"), 7)
    assert json.loads(json.dumps(noted)) == noted
    assert (noted["seed"], noted["torch"]) == (7, torch.__version__)
    assert (noted["surefoot"], noted["threads"]) == (surefoot.__version__, torch.get_num_threads())
    assert noted["git"] is None


def test_a_branch_with_letters_that_the_system_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _git("init", "-q")
    (tmp_path / "train.py").write_text("1\n")
    _git("add", "train.py")
    _git("commit", "-qm", "first")
    _git("checkout", "-qb", "Áron")  # in UTF-8 a byte that the code page of western Windows lacks
    commit, run = _git("rev-parse", "HEAD"), subprocess.run

    def western(*args: Any, **how: Any) -> Any:
        return run(*args, **how | ({"encoding": "cp1252"} if how.get("text") else {}))

    monkeypatch.setattr(subprocess, "run", western)
    assert environment(torch.device("cpu"), 0)["git"] == {"commit": commit, "changed": False}


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _git("init", "-q")
    assert environment(torch.device("cpu"), 0)["git"] is None  # no commit yet
    (tmp_path / "train.py").write_text("1\n")
    _git("add", "train.py")
    _git("commit", "-qm", "first")
    commit = _git("rev-parse", "HEAD")
    (tmp_path / "run").write_text("not git's matter\n")
    assert environment(torch.device("cpu"), 0)["git"] == {"commit": commit, "changed": False}
    (tmp_path / "train.py").write_text("2\n")
    assert environment(torch.device("cpu"), 0)["git"] == {"commit": commit, "changed": True}
    _git("checkout", "-q", "--detach", "-f")
    assert environment(torch.device("cpu"), 0)["git"] == {"commit": commit, "changed": False}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment(torch.device("cpu"), 0)["git"] is None
