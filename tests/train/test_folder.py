from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import InputError
from surefoot.train.folder import RunFolder


def create(out: Path | None = None, name: str = "mlp") -> RunFolder:
    folder = RunFolder(out, name, config="lr = 0.5\n", environment={"seed": 1})
    folder.create()
    return folder


def test_a_folder_says_how_the_run_was_made(tmp_path: Path) -> None:
    folder = create(tmp_path / "deep" / "run")
    assert folder.path == tmp_path / "deep" / "run"
    assert (folder.path / "config.toml").read_text() == "lr = 0.5\n"
    assert json.loads((folder.path / "environment.json").read_text()) == {"seed": 1}


def test_runs_that_start_at_once_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {create().path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == Path("runs") and "-mlp" in path.name for path in paths)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(InputError) as caught:
        create(tmp_path)
    assert str(caught.value) == f"The folder '{tmp_path}' is not empty; a run needs a new one."
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        create(tmp_path / "file" / "run")
    assert str(caught.value) == (
        f"Cannot write '{tmp_path / 'file' / 'run'}': Not a directory;"
        " choose another folder, or make room there."
    )


def test_lines_are_added_at_once(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    folder.append([{"step": 1}, {"step": 2}])
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    folder.append([{"step": 3}])
    folder.close()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = create(tmp_path / "run")
    folder.write("model.safetensors", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        folder.write("model.safetensors", b"new")
    path = tmp_path / "run" / "model.safetensors"
    assert str(caught.value) == (
        f"Cannot write '{path}': No space left on device; choose another folder, or make room there."
    )
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in path.parent.iterdir()) == [
        ".lock",
        "config.toml",
        "environment.json",
        "model.safetensors",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_metrics(tmp_path: Path) -> None:
    folder = create(tmp_path / "run")
    os.symlink("/dev/full", tmp_path / "run" / "metrics.jsonl")
    record: dict[str, Any] = {"step": 1}
    with pytest.raises(InputError, match="No space left on device"):
        folder.append([record])
    folder.close()
