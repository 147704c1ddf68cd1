"""Whatever happens to a run's folder, nothing that was safe is lost, and what is wrong is said."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from surefoot.errors import InputError
from surefoot.train.folder.folder import RunFolder
from surefoot.train.run import Interrupted, Run

GROUP = """
import sys, time, torch, surefoot
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, row):
        time.sleep(0.01)
        return torch.full((2,), float(row)), row % 2

if __name__ == "__main__":
    torch.manual_seed(0)
    rows = {"train": (torch.ones(64, 2), torch.zeros(64).long()), "valid": None}
    rows[sys.argv[2]] = DataLoader(Slow(), 4, num_workers=2)
    try:
        surefoot.fit(torch.nn.Linear(2, 2), **rows, epochs=500, batch_size=4, out=sys.argv[1],
                     validate_every="1 step" if sys.argv[2] == "valid" else "1 epoch", progress=False)
    except surefoot.train.Interrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(stopped.exit_code)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize("where", ["train", "valid"])
def test_a_signal_to_the_workers_too(tmp_path: Path, where: str) -> None:
    """As `timeout` and cluster managers send it."""
    (tmp_path / "job.py").write_text(GROUP)
    out = tmp_path / "run"
    argv = [sys.executable, str(tmp_path / "job.py"), str(out), where]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while not (out / "metrics.jsonl").exists() or '"step"' not in (out / "metrics.jsonl").read_text():
            assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 143, said
    assert "Stopped at step " in said
    assert Run.load(out).status == "interrupted"


def test_a_half_written_line_is_repaired(job: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8)
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"kind": "step", "step": 9}\n{"kind": "st')
    (out / "checkpoints" / ".step-000000009.safetensors.partial").write_bytes(b"half")
    job.run(out, resume=True)
    assert job.same(whole, out)
    assert not list(out.rglob("*.partial"))


def test_killed_before_its_first_checkpoint_it_begins_anew(job: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted) as caught:
        job.run(out, stop=3, checkpoint_every="never")
    assert not caught.value.goes_on
    assert str(caught.value) == (
        f"Stopped at step 3 of 15; the weights, but no checkpoint to resume from, are saved in {out}."
    )
    assert not (out / "checkpoints").exists()
    job.run(out, resume=True)
    assert job.same(whole, out)


def test_killed_while_its_folder_was_made(job: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "environment.json").write_text("{}")
    (out / ".config.toml.partial").write_text("epochs =")
    job.run(out, resume=True)
    assert job.same(whole, out)


@pytest.mark.parametrize("harm", ["cut", "noise", "numbers", "said", "folder", "metrics", "line"])
def test_the_checkpoint_before_is_there_if_the_last_is_harmed(
    job: Any, whole: Path, tmp_path: Path, harm: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8, checkpoint_every="1 step")
    newest = sorted((out / "checkpoints").iterdir())[-1]
    if harm == "said":  # a number of the JSON
        content = newest.read_bytes()
        place = content.index(b'lr\\"')
        place = content.index(b"0.1", place)
        newest.write_bytes(content[:place] + b"0.2" + content[place + 3 :])
    elif harm == "cut":
        os.truncate(newest, 100)
    elif harm == "noise":
        newest.write_bytes(b"\xff" * 1000)
    elif harm == "numbers":  # its size is right
        content = bytearray(newest.read_bytes())
        content[-40] ^= 1
        newest.write_bytes(content)
    elif harm == "folder":
        newest.unlink()
        newest.mkdir()
    elif harm == "line":  # of metrics.jsonl, which only this checkpoint goes by
        text = (out / "metrics.jsonl").read_bytes()
        place = text.rindex(b'{"kind": "step", "step": 8')
        (out / "metrics.jsonl").write_bytes(text[:place] + b"\0" + text[place + 1 :])
    else:  # of metrics.jsonl the end is lost
        size = (out / "metrics.jsonl").stat().st_size
        os.truncate(out / "metrics.jsonl", size - 70)
    with pytest.warns(UserWarning, match=r"000000008.safetensors' cannot be used: .*; going on from step 7"):
        job.run(out, resume=True)
    assert job.same(whole, out)


def test_a_line_damaged_before_every_checkpoint_is_left_out(job: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8, checkpoint_every="1 step")
    text = (out / "metrics.jsonl").read_bytes()
    (out / "metrics.jsonl").write_bytes(b"\0" + text[1:])
    with pytest.warns(UserWarning, match=r"^line 1 of metrics.jsonl is damaged, and left out; going on"):
        job.run(out, resume=True)
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert [r["step"] for r in Run.load(out).steps] == list(range(2, job.last + 1))


def test_best_weights_that_are_gone_are_told(job: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8)
    (out / "best.safetensors").unlink()
    said = "best.safetensors is missing; from here on, the best weights are chosen anew"
    with pytest.warns(UserWarning, match=said):
        job.run(out, resume=True)
    assert (out / "best.safetensors").exists()


@pytest.mark.parametrize("text", ["[1]", '{"resumed": "x"}', "7", ""])
def test_an_environment_that_says_something_else(job: Any, whole: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8)
    (out / "environment.json").write_text(text)
    assert isinstance(Run.load(out).status, str)
    job.run(out, resume=True)
    assert job.same(whole, out)
    assert len(json.loads((out / "environment.json").read_text())["resumed"]) == 1


def test_a_compiled_run_where_nothing_compiles(job: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8)
    config = out / "config.toml"
    config.write_text(config.read_text().replace('compile = "off"', 'compile = "on"'))
    with pytest.raises(InputError, match="was started with a compiled step, which cannot be made here now"):
        job.run(out, resume=True, optimizer=torch.optim.SGD)


def test_killed_before_an_old_checkpoint_was_dropped(job: Any, whole: Path, tmp_path: Path) -> None:
    """At the last step no new one comes that would drop it."""
    out = tmp_path / "out"
    job.run(out, checkpoint_every="1 epoch")
    (out / "checkpoints" / "step-000000005.safetensors").write_bytes(b"old")
    lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
    (out / "metrics.jsonl").write_text("".join(lines[:-1]))
    job.run(out, resume=True)
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == [
        "step-000000010.safetensors",
        "step-000000015.safetensors",
    ]
    assert job.same(whole, out)


def test_no_checkpoint_can_be_used(job: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=8)
    (out / "metrics.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        job.run(out, resume=True)
    path = out / "checkpoints" / "step-000000008.safetensors"
    assert str(caught.value) == (
        f"There is nothing to resume from: the checkpoint '{path}' cannot be used:"
        " metrics.jsonl ends before it."
    )
    assert path.exists()


def test_two_runs_cannot_write_one_folder(job: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = RunFolder(out)
    folder.create()
    (out / "config.toml").unlink()
    for resume in (False, True):
        with pytest.raises(InputError) as caught:
            job.run(out, resume=resume)
        assert str(caught.value) in (
            f"The folder '{out}' is in use by another run; wait until it ends, or choose a new folder.",
            f"The folder '{out}' is not empty; a run requires a new or empty one.",
        )
    folder.close()
    job.run(out, resume=True)


def test_a_run_that_fails_lets_go_of_its_folder(job: Any, tmp_path: Path) -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("my own mistake")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="my own mistake"):
            job.run(tmp_path / "out", model=Broken(6, 3), resume=True)


def test_sigterm_stops_like_ctrl_c(job: Any, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as caught:
        job.run(tmp_path / "out", stop=7, number=signal.SIGTERM)
    assert caught.value.exit_code == 143
    job.run(tmp_path / "out", resume=True)
    assert job.same(whole, tmp_path / "out")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("needs the right to mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def good(out: Path) -> list[bytes]:
    """The checkpoints."""
    return [path.read_bytes() for path in sorted((out / "checkpoints").glob("step-*"))]


def test_a_full_disk(job: Any, whole: Path, disk: Path) -> None:
    out = disk / "run"
    with pytest.raises(Interrupted):
        job.run(out, stop=6, checkpoint_every="2 steps")
    before = good(out)
    assert len(before) == 2
    for room in (0, 4096, 16384):  # none, for a line of metrics but no checkpoint, for half a checkpoint
        with open(disk / "film", "wb", buffering=0) as film, contextlib.suppress(OSError):
            while film.write(bytes(4096)):
                pass
        os.truncate(disk / "film", (disk / "film").stat().st_size - room)
        with pytest.raises(InputError) as caught:
            job.run(out, resume=True, checkpoint_every="1 step")
        assert str(caught.value).startswith(f"Cannot write '{out}/")
        said = str(caught.value).partition(
            "': No space left on device; choose another folder, or free some space"
        )
        kept = (
            "best.safetensors and the checkpoint of step 6 are kept; once the problem is fixed, continue with"
            " fit(…, resume=True)"
        )
        # a folder that cannot be written before it is gone on with is as it was
        assert said[2] == " there." or said[2].endswith(f"{kept}.")
        assert good(out)[-1] == before[-1]
        assert not list(out.rglob("*.partial"))
        (disk / "film").unlink()
    job.run(out, resume=True)
    assert job.same(whole, out)


def test_files_that_may_not_grow(job: Any, whole: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=6)
    before = good(out)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[0]) // 2, limits[1]))
    try:
        with pytest.raises(InputError) as caught:
            job.run(out, resume=True, checkpoint_every="1 step")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    path = out / "checkpoints" / "step-000000007.safetensors"
    assert str(caught.value).startswith(f"Cannot write '{path}': File too large; choose another folder; ")
    assert good(out) == before
    job.run(out, resume=True)
    assert job.same(whole, out)


def test_a_read_only_disk(job: Any, whole: Path, disk: Path) -> None:
    out = disk / "run"
    with pytest.raises(Interrupted):
        job.run(out, stop=6)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for place in (out, disk / "new"):
        with pytest.raises(InputError) as caught:
            job.run(place, resume=True)
        assert str(caught.value) == (f"Cannot write '{place}': Read-only file system; choose another folder.")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    job.run(out, resume=True)
    assert job.same(whole, out)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(job: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        job.run(tmp_path / "out", stop=6)
    (tmp_path / "out").chmod(0o555)
    with pytest.raises(InputError, match="Permission denied"):
        job.run(tmp_path / "out", resume=True)
    (tmp_path / "out").chmod(0o755)


def test_a_file_in_the_way_of_the_checkpoints(job: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        job.run(out, stop=6, checkpoint_every="never")
    (out / "checkpoints").write_text("mine")
    with pytest.raises(InputError, match=r"Cannot write '.*step-000000001.safetensors': File exists"):
        job.run(out, resume=True, checkpoint_every="1 step")
    assert (out / "checkpoints").read_text() == "mine"
    (out / "checkpoints").unlink()
    job.run(out, resume=True)
    assert job.same(whole, out)
