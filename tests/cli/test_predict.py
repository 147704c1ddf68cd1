from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surefoot.cli import main
from surefoot.train.data import load


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("predict") / "run")
    args = ["--epochs", "1", "--batch-size", "100", "--hidden", "32", "--threads", "1"]
    assert main(["train", *args, "--out", path]) == 0
    return path


def test_a_picture(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load()
    Image.fromarray(255 - data.valid.x[0].numpy()).save(tmp_path / "digit.png")
    assert main(["predict", run, str(tmp_path / "digit.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines.pop(0).split() == ["class", "probability"]
    assert lines[0].split()[0] == data.classes[int(data.valid.y[0])]
    shares = [float(line.split()[1]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert all(line.endswith(" %") for line in lines)


def test_a_class_with_a_percent_sign_in_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.normal(size=(60, 2)), y=np.array(["50%", "100%"] * 30))
    args = ["--data", "data.npz", "--epochs", "1", "--model", "linear", "--threads", "1", "--out", "run"]
    assert main(["train", *args]) == 0
    np.savez("rows.npz", x=rng.normal(size=(3, 2)))
    capsys.readouterr()
    assert main(["predict", "run", "rows.npz"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["row", "predicted", "probability"]
    assert {line.split()[1] for line in lines} <= {"50%", "100%"}
    assert len({line.rindex(" %") for line in lines}) == 1


def test_rows_with_targets(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load()
    np.savez(tmp_path / "rows.npz", x=data.valid.x[:50].numpy(), y=data.valid.y[:50].numpy())
    assert main(["predict", run, str(tmp_path / "rows.npz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 52
    assert lines[0].split() == ["row", "predicted", "probability", "y"]
    cells = [line.split() for line in lines[1:51]]
    assert [int(row[0]) for row in cells] == [*range(50)]
    assert [int(row[4]) for row in cells] == data.valid.y[:50].tolist()
    wrong = [row[1] != row[4] for row in cells]
    assert [row[5:] == ["wrong"] for row in cells] == wrong
    assert any(wrong)
    assert lines[-1] == f"accuracy {100 * (50 - sum(wrong)) / 50:.2f} % of 50 rows"


def test_rows_into_a_file(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load()
    np.savez(tmp_path / "rows.npz", x=data.valid.x[:50].numpy(), y=data.valid.y[:50].numpy())
    out = tmp_path / "predicted.csv"
    assert main(["predict", run, str(tmp_path / "rows.npz"), "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    with out.open(newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [int(row["row"]) for row in rows] == [*range(50)]
    assert [int(row["y"]) for row in rows] == data.valid.y[:50].tolist()
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    right = sum(row["predicted"] == row["y"] for row in rows)
    assert said == [f"accuracy {100 * right / 50:.2f} % of 50 rows", f"Written: {out}"]


def test_a_regression_of_two_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez("data.npz", x=x, y=x @ [[1, 2], [3, -4]])
    args = ["--data", "data.npz", "--task", "regression", "--model", "linear", "--threads", "1"]
    assert main(["train", *args, "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["predict", "run", "data.npz"]) == 0
    heading, *lines, last = capsys.readouterr().out.splitlines()
    assert re.split("  +", heading.strip()) == ["row", "predicted 0", "predicted 1", "y 0", "y 1"]
    assert [float(cell) for cell in lines[7].split()[3:]] == pytest.approx(x[7] @ [[1, 2], [3, -4]], rel=1e-5)
    assert last.startswith("R² ")
    assert last.endswith(" of 60 rows")
    np.savez("rows.npz", x=x[0])
    assert main(["predict", "run", "rows.npz"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["row", "predicted", "0", "predicted", "1"]


def test_the_best_weights(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load()
    np.savez(tmp_path / "rows.npz", x=data.valid.x[:50].numpy(), y=data.valid.y[:50].numpy())
    folder = shutil.copytree(run, tmp_path / "run")
    assert main(["predict", run, str(tmp_path / "rows.npz")]) == 0
    said = capsys.readouterr().out
    (folder / "model.safetensors").unlink()  # of one epoch the last is the best
    assert main(["predict", str(folder), str(tmp_path / "rows.npz"), "--best"]) == 0
    assert capsys.readouterr().out == said
    assert main(["predict", str(folder), str(tmp_path / "rows.npz")]) == 2
    assert capsys.readouterr().err == (
        f"surefoot: The run '{folder}' is finished, but its model.safetensors is missing; use --best for"
        " the weights of its best validation.\n"
    )


def test_a_run_that_diverged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.normal(size=(60, 2)), y=np.array([0, 1] * 30))
    args = ["--data", "data.npz", "--hidden", "8", "--threads", "1", "--out", "run", "--lr", "1e30"]
    assert main(["train", *args]) == 3
    np.savez("rows.npz", x=rng.normal(size=(3, 2)))
    capsys.readouterr()
    assert main(["predict", "run", "rows.npz"]) == 0
    assert capsys.readouterr().err == (
        "surefoot: the run diverged; these are the weights of step 0, the last good ones kept\n"
    )


def test_bad_input(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "x.png"]) == 2
    assert capsys.readouterr().err == (
        f"surefoot: '{tmp_path}' is not a run folder: it has no config.toml.\n"
    )
    assert main(["predict", run, "nowhere.png", "--out", "x.txt"]) == 2
    assert capsys.readouterr().err == "surefoot: --out writes a .csv file, not 'x.txt'.\n"
    assert main(["predict", run, "nowhere.png"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: Cannot read the picture 'nowhere.png': No such file or directory.\n"
    )
