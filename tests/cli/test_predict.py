from __future__ import annotations

import csv
import json
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


ONLY = "surefoot: the model knows only its 10 classes, 0 … 9, and takes everything for one of them\n"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three digits in corners of grey paper, and a blank sheet."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, name in enumerate("abc"):
        grey = np.full((200, 240), 180, np.uint8)
        digit = Image.fromarray(load().valid.x[i].numpy()).resize((84, 84))
        grey[100:184, 20:104] -= np.asarray(digit) // 2
        Image.fromarray(grey).save(folder / f"{name}.png")
    Image.new("L", (90, 90), 200).save(folder / "d.png")
    return folder


def test_a_photograph_is_prepared(run: str, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = photographs / "a.png"
    assert main(["predict", run, str(path)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split()[0] == load().classes[int(load().valid.y[0])]
    assert told.err == (
        f"surefoot: '{path}' was prepared as MNIST was: cut out, light on dark, centred;"
        f" --raw leaves that out\n{ONLY}"
    )
    assert main(["predict", run, str(path), "--raw"]) == 0
    left = capsys.readouterr()
    assert left.err == ONLY
    assert left.out != told.out


def test_several_pictures(run: str, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["predict", run, str(photographs / "c.png"), str(photographs)]) == 2
    )  # of one, there is nothing
    told = capsys.readouterr()
    heading, *lines = told.out.splitlines()
    assert heading.split() == ["picture", "predicted", "probability"]
    assert [line.split()[0] for line in lines] == [str(photographs / f"{name}.png") for name in "cab"]
    digits = load().valid.y[[2, 0, 1]].tolist()
    assert sum(int(line.split()[1]) == y for line, y in zip(lines, digits, strict=True)) >= 2
    blank, prepared, only = told.err.splitlines(keepends=True)
    assert blank == f"surefoot: '{photographs / 'd.png'}' is blank: there is no digit on it.\n"
    assert prepared.startswith("surefoot: 3 of 3 pictures were prepared as MNIST was")
    assert only == ONLY


def test_a_blank_picture_has_no_answer(
    run: str, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(photographs / "d.png")
    for given in ([path], [path, path]):
        assert main(["predict", run, *given]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err == f"surefoot: '{path}' is blank: there is no digit on it.\n" * len(given)


def test_two_digits_have_no_sure_answer(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "two.png", tmp_path / "out.csv"
    Image.fromarray(np.tile(255 - load().valid.x[0].numpy(), 2)).resize((280, 140)).save(path)
    doubt = "there are 2 things on it that may be digits; the largest is looked at"
    assert main(["predict", run, str(path), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.err.startswith(f"surefoot: '{path}' gives no sure answer: {doubt}\n")
    assert told.out == f"Written: {out}\n"
    with out.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert [*row] == ["row", "predicted", "probability", "picture", "doubt"]
    assert (row["picture"], row["doubt"]) == (str(path), doubt)


def test_what_the_model_sees_is_shown(
    run: str, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", run, str(photographs / "a.png"), "--show"]) == 0
    path, edge, *lines, last = capsys.readouterr().out.splitlines()[:17]
    assert path == str(photographs / "a.png")
    assert edge == last == f"+{'-' * 28}+"
    assert [len(line) for line in lines] == [30] * 14
    assert {*"".join(lines)} == {*"| ░▒▓█"}


def test_json(run: str, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(photographs / "a.png")
    assert main(["predict", run, path, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    shares = row.pop("probabilities")
    assert [*shares] == [*load().classes]
    assert sum(shares.values()) == pytest.approx(1)
    best = max(shares, key=shares.get)
    assert row == {
        "row": 0, "predicted": best, "probability": shares[best],
        "picture": path, "doubt": "", "prepared": True,
    }  # fmt: skip
    np.savez(photographs / "rows.npz", x=load().valid.x[:3].numpy(), y=load().valid.y[:3].numpy())
    assert main(["predict", run, str(photographs / "rows.npz"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [[*row] for row in rows] == [["row", "predicted", "probability", "y"]] * 3


def test_what_does_not_go_together(run: str, photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = str(photographs / "a.png")
    for more in ([a], ["--show"], ["--raw"]):
        assert main(["predict", run, "rows.npz", *more]) == 2
        said = "'rows.npz' is a file of rows: it goes alone, without --show and --raw."
        assert capsys.readouterr().err == f"surefoot: {said}\n"
    assert main(["predict", run, a, "--show", "--json"]) == 2
    said = "--json and --show both write to the screen; choose one."
    assert capsys.readouterr().err == f"surefoot: {said}\n"


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
