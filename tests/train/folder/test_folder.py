from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import InputError
from surefoot.train.folder import folder
from surefoot.train.folder.folder import FolderGone, RunFolder


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
    assert str(caught.value) == f"The folder '{tmp_path}' is not empty; a run requires a new or empty one."
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        create(tmp_path / "file" / "run")
    assert str(caught.value) == (
        f"Cannot write '{tmp_path / 'file' / 'run'}': Not a directory; choose another folder."
    )


def test_a_name_with_a_number_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "datetime", Noon)
    names = []
    for _ in range(3):
        made = RunFolder(None, "fold-1", config="epochs = 1")
        made.create()
        made.close()
        names.append(made.path.name.split("-", 2)[-1])
    assert names == ["fold-1", "fold-1-2", "fold-1-3"]


class Noon(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> Noon:
        return cls(2026, 1, 1, 12)


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
@pytest.mark.parametrize("runs", ["link", "file"])
def test_where_runs_cannot_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: str) -> None:
    monkeypatch.chdir(tmp_path)
    if runs == "link":
        Path("runs").symlink_to("nowhere")
    else:
        Path("runs").write_text("")
    with pytest.raises(InputError, match=r"^Cannot write 'runs/.*': File exists; choose another folder"):
        RunFolder(None, "run", config="epochs = 1").create()


def test_a_finished_run_is_not_noted_as_resumed(tmp_path: Path) -> None:
    made = RunFolder(tmp_path / "run", config="epochs = 1", environment={"seed": 0})
    made.create()
    made.metrics.append([{"kind": "end", "status": "finished"}])
    made.close()
    again = RunFolder(tmp_path / "run", config="epochs = 1", environment={"seed": 0})
    assert again.create(resume=True)
    again.close()
    assert again.environment == {"seed": 0}


def test_a_folder_that_was_moved_is_not_made_anew(tmp_path: Path) -> None:
    made = create(tmp_path / "run")
    made.write("a.txt", b"1")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert made.gone
    for call in (made.check_there, lambda: made.write("a.txt", b"2")):
        with pytest.raises(FolderGone, match=r"/run' was moved or removed during the run\.$"):
            call()
    assert not (tmp_path / "run").exists()
    made.make_anew()
    made.write("a.txt", b"3")
    made.close()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.txt"]
