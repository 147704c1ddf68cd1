from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from surefoot.errors import InputError
from surefoot.runs import records
from surefoot.train.folder.metrics import Metrics


def test_lines_are_added_at_once(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.append([{"step": 1}, {"step": 2}])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    metrics.append([{"step": 3}])
    metrics.close()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_it_is_cut_to_the_bytes_that_a_checkpoint_knew(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.cut(0)
    assert (metrics.size, metrics.sync(), metrics.read()) == (0, 0, b"")
    metrics.append([{"step": 1}])
    size = metrics.sync()
    metrics.append([{"step": 2}])
    metrics.close()
    with open(metrics.path, "ab") as file:
        file.write(b'{"step": ')  # killed in the middle of a line
    metrics.cut(size)
    assert metrics.size == size
    assert records(metrics.read()) == ([{"step": 1}], [])


@pytest.mark.parametrize("damaged", [b'{"step":\x00 2}', b"[2]", b"\xff", b'{"step": 2', b"null"])
def test_a_damaged_line_is_found_and_becomes_a_blank_one(tmp_path: Path, damaged: bytes) -> None:
    metrics = Metrics(tmp_path)
    metrics.path.write_bytes(b'{"step": 1}\n' + damaged + b'\n{"step": 3}\n{"st')
    sound = [{"step": 1}, {"step": 3}]
    size = metrics.size - 4
    assert records(metrics.read()[:size]) == (sound, [2])
    metrics.cut(size, [2])
    assert metrics.size == size
    assert records(metrics.read()) == (sound, [])


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"^Cannot read '.*metrics.jsonl': Is a directory\.$"):
        Metrics(tmp_path).read()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, "running"),
        ("", "running"),
        ('{"kind": "step", "step": 1}\n', "running"),
        ('{"kind": "step", "step": 1}\n{"kind": "en', "running"),
        ('{"kind": "step", "step": 1}\n{"kind": "end", "status": "failed"}\n', "failed"),
        ('{"kind": "end", "status": "finished"}\ngarbage{\n[1]\n', "finished"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, text: str | None, status: str) -> None:
    metrics = Metrics(tmp_path)
    if text is not None:
        metrics.path.write_text(text)
    assert metrics.status == status


def test_whether_anything_was_done(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    assert not metrics.begun
    metrics.append([{"kind": "end", "status": "failed"}])
    assert not metrics.begun
    metrics.close()
    metrics.path.unlink()
    metrics.append([{"kind": "step", "step": 1}, {"kind": "end", "status": "failed"}])
    assert metrics.begun
    metrics.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "metrics.jsonl")
    metrics = Metrics(tmp_path)
    with pytest.raises(InputError, match="No space left on device"):
        metrics.append([{"step": 1}])
    metrics.close()
