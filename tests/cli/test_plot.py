"""`surefoot plot` as a user meets it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from surefoot.cli import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text(
        '{"kind": "epoch", "epoch": 1, "step": 9, "valid_loss": 0.4, "valid_accuracy": 0.9}\n'
    )
    return folder


def test_one_run_is_drawn_into_its_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(run)]) == 0
    assert capsys.readouterr().out == f"Drawn: {run / 'curves.png'}\n"
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_several_are_drawn_here(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "run", "run"]) == 0
    assert capsys.readouterr().out == "Drawn: compared.png\n"
    (tmp_path / "compared.png").write_text("kept")
    assert main(["plot", "run", "run"]) == 0
    assert main(["plot", "run", "run"]) == 0
    assert capsys.readouterr().out == "Drawn: compared-2.png\nDrawn: compared-3.png\n"
    assert (tmp_path / "compared.png").read_text() == "kept"
    assert main(["plot", "run", "--out", "picture.svg"]) == 0
    assert "<svg" in (tmp_path / "picture.svg").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows names another mistake")
def test_a_run_whose_folder_cannot_be_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Path("run") / "curves.png"
    picture.unlink(missing_ok=True)
    picture.mkdir()  # root may write everywhere else
    assert main(["plot", "run"]) == 2
    assert capsys.readouterr().err == (
        f"surefoot: Cannot write '{picture}': Is a directory; choose another file with --out.\n"
    )
    picture.rmdir()


def test_a_pattern_that_the_shell_left_is_filled_in(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "r*"]) == 0
    assert capsys.readouterr().out == f"Drawn: {Path('run/curves.png')}\n"
    assert main(["plot", "s*"]) == 2
    assert capsys.readouterr().err == "surefoot: There is no run folder 's*'.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name at least one run's folder, as in: surefoot plot runs/*"),
        (["nothing"], "There is no run folder 'nothing'."),
        (["."], "'.' is not a run folder: cannot read its metrics.jsonl."),
        (["run", "--out", "x.txt"], "The picture 'x.txt' must be a .png, .pdf or .svg file."),
        (["run", "--out", "no/x.png"], "Cannot write 'no/x.png': there is no folder 'no'."),
    ],
)
def test_bad_input(
    arguments: list[str],
    sentence: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", *arguments]) == 2
    assert capsys.readouterr().err == f"surefoot: {sentence}\n"
