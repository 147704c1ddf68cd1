from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from surefoot import SGD, fit
from surefoot.cli import main
from surefoot.train.folder.lock import locked


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_runs_are_listed_with_their_best(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    np.savez("sign.npz", x=x, y=(x[:, 0] > 0).astype(int))
    common = ["--data", "sign.npz", "--model", "linear", "--batch-size", "4"]
    assert main(["train", *common, "--epochs", "9", "--lr", "0.5", "--out", "runs/a"]) == 0
    assert (
        main(["train", *common, "--epochs", "1", "--optimizer", "torch.optim:AdamW", "--out", "runs/b"]) == 0
    )
    for name in ("c", "d"):  # one killed before its first step, one after
        Path("runs", name).mkdir()
        Path("runs", name, "config.toml").write_text("epochs = 7")
    Path("runs/d/metrics.jsonl").write_text(
        '{"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.1}\n'
    )
    capsys.readouterr()
    assert main(["runs"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["run", "status", "epochs", "best", "epoch", "optimizer", "lr", "momentum", "batch"]
    assert lines[1][:3] == ["a", "finished", "9/9"]
    assert lines[1][4] == "%"
    assert 1 <= int(lines[1][5]) <= 9
    assert lines[1][-4:] == ["sgd", "0.5", "0.9", "4"]
    assert lines[2][:3] == ["b", "finished", "1/1"]
    assert lines[2][-3:] == ["AdamW", "0.001", "4"]
    assert lines[3] == ["c", "no", "metrics"]
    assert lines[4] == ["d", "unfinished", "0/7", "sgd", "0.1", "32"]


def test_a_file_in_the_place_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text("")
    assert main(["runs", "net.py"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: 'net.py' is a file; give a folder that holds runs, such as runs.\n"
    )


def test_no_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: There is no folder 'runs'; the first run creates it: surefoot train.\n"
    )
    assert main(["runs", "nothing"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: There is no folder 'nothing'; surefoot train writes runs to 'runs' unless --out is"
        " given.\n"
    )
    Path("runs").mkdir()
    assert main(["runs"]) == 2
    assert capsys.readouterr().err == "surefoot: There is no run in 'runs'.\n"


def test_a_default_lr_is_the_one_that_a_warm_up_rises_to(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.toml").write_text('optimizer = "torch.optim:SGD"\nwarmup = "1 epoch"\n')
    lrs = [0.0005, 0.001, 0.0002]
    records = [
        f'{{"kind": "step", "step": {step}, "epoch": 1, "loss": 2.0, "lr": {lr}}}\n'
        for step, lr in enumerate(lrs, 1)
    ]
    Path("runs/a/metrics.jsonl").write_text("".join(records))
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["0.001", "32"]


def test_one_optimizer_has_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    rows = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    makers: list[Any] = [None, lambda p: SGD(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)]
    for name, maker in zip("abc", makers, strict=True):
        fit(nn.Linear(2, 2), rows, optimizer=maker, epochs=1, out=f"runs/{name}", progress=False)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    column = lines[0].index("optimizer")
    assert [line[column:].split()[0] for line in lines[1:]] == ["sgd", "sgd", "SGD"]


def test_a_line_is_no_longer_than_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "20261122-182422-mlp-mnist-10k"
    Path("runs", name).mkdir(parents=True)
    Path("runs", name, "config.toml").write_text("epochs = 24\nlr = 0.04\nmomentum = 0.9\n")
    Path("runs", name, "metrics.jsonl").write_text(
        '{"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.04}\n'
        '{"kind": "epoch", "epoch": 1, "step": 1, "train_loss": 2.0, "lr": 0.04, "seconds": 1.0,'
        ' "valid_loss": 1.0, "valid_accuracy": 0.9695}\n'
    )
    shown = {}
    for columns in ("", "80", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["runs"]) == 0
        shown[columns] = capsys.readouterr().out.splitlines()
    assert shown[""][0].split()[-2:] == ["momentum", "batch"]
    assert max(map(len, shown["80"])) <= 80
    assert shown["80"][1].split() == [name, "unfinished", "1/24", "96.95", "%", "1", "sgd"]
    assert shown["40"][0].split() == ["run", "status", "epochs", "best", "epoch"]
    assert shown["40"][1].split()[0] == "20261…st-10k"


def test_a_long_name_is_shortened_before_columns_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for end in "ab":
        run = Path("runs", f"20261122-182422-a-name-that-somebody-has-thought-about-for-long-{end}")
        run.mkdir(parents=True)
        (run / "config.toml").write_text("lr = 0.04\n")
        (run / "metrics.jsonl").write_text(
            '{"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.04}\n'
        )
    monkeypatch.setenv("COLUMNS", "96")
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 96
    assert lines[0].split()[-1] == "batch"
    for line, end in zip(lines[1:], "ab", strict=True):
        assert line.startswith("20261122-18")
        assert line.split()[0].endswith(f"long-{end}")
    monkeypatch.delenv("COLUMNS")
    assert main(["runs"]) == 0  # a pipe gets all of it
    assert run.name in capsys.readouterr().out


def test_an_optimizer_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("sign.npz", x=np.linspace(-1, 1, 50, dtype=np.float32)[:, None], y=np.arange(50) // 25)
    Path("homework.py").write_text(
        "import torch\n"
        "class SGD(torch.optim.SGD):\n"
        "    def __init__(self, params, lr=0.03, momentum=0.8, foreach=None):\n"
        "        super().__init__(params, lr=lr, momentum=momentum, foreach=foreach)\n"
    )
    common = ["train", "--data", "sign.npz", "--epochs", "1", "--optimizer", "homework.py:SGD"]
    assert main([*common, "--out", "runs/a"]) == 0
    assert main([*common, "--lr", "0.1", "--opt", "foreach=false", "--out", "runs/b"]) == 0
    capsys.readouterr()
    assert main(["runs"]) == 0
    a, b = (line.split() for line in capsys.readouterr().out.splitlines()[1:])
    assert a[-4:] == ["homework.py:SGD", "0.03", "0.8", "32"]
    assert b[-5:] == ["homework.py:SGD", "foreach=false", "0.1", "0.8", "32"]
    config = Path("runs/a/config.toml").read_text()
    assert "lr = 0.03\nmomentum = 0.8\n" in config
    assert "dampening" not in config  # it takes none
    assert main(["train", "--config", "runs/a/config.toml", "--out", "again"]) == 0
    weights = [Path(run, "model.safetensors").read_bytes() for run in ("runs/a", "again")]
    assert weights[0] == weights[1]


def test_whether_a_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("dead", "early", "live"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "config.toml").write_text("epochs = 7\n")
    for name in ("dead", "live"):
        line = '{"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.1}\n'
        Path("runs", name, "metrics.jsonl").write_text(line)
    locked(Path("runs/dead")).release()
    with locked(Path("runs/early")), locked(Path("runs/live")):
        assert main(["runs"]) == 0
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["dead", "unfinished", "0/7"], ["early", "running", "0/7"], ["live", "running", "0/7"]]


def test_a_run_in_the_place_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.toml").write_text("lr = many")
    assert main(["runs", "runs/a"]) == 2
    assert "'runs/a' is a run itself; give the folder that holds it: " in capsys.readouterr().err.replace(
        "\\", "/"
    )
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["a", "bad", "config.toml"]


def test_a_list_needs_no_torch(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    (run / "config.toml").write_text("epochs = 7")
    (run / "metrics.jsonl").write_text('{"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.1}\n')
    code = (
        "import sys; from surefoot.cli import main; main(['runs']); "
        "print('heavy:', *sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["run", "a", "heavy:"]
    assert done.stdout.endswith("heavy:\n")
