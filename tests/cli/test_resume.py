from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from surefoot.cli import main
from surefoot.cli.resume import _mkl

COMMON = ["--data", "sign.npz", "--model", "linear", "--batch-size", "4", "--lr", "0.5", "--epochs", "9"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    np.savez("sign.npz", x=x, y=(x[:, 0] > 0).astype(int))


def test_a_run_that_was_killed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["train", *COMMON, "--out", "whole"]) == 0
    assert main(["train", *COMMON, "--out", "run", "--checkpoint-every", "7 steps"]) == 0
    # as if it had been killed after its newest checkpoint, in the middle of a line
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-5]) + '{"kin')
    Path("run/model.safetensors").unlink()
    capsys.readouterr()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")  # the run knows where its data are
    assert main(["resume", "../run"]) == 0
    out = capsys.readouterr().out
    assert "\n  1/9" not in out
    assert "\n  9/9" in out
    assert out.endswith("saved in ../run\n")
    for name in ("model.safetensors", "best.safetensors"):
        assert Path("../run", name).read_bytes() == Path("../whole", name).read_bytes()


def test_a_run_that_has_finished(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run"]) == 0
    closing = capsys.readouterr().out.splitlines()[-2:]
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    assert main(["resume", "run"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert (out[0], out[-2:]) == ("The run 'run' is finished; there is nothing left to do.", closing)
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_run_that_diverged_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    large = ["--data", "sign.npz", "--lr", "1e30", "--checkpoint-every", "1 step", "--out", "run"]
    assert main(["train", *large]) == 3
    told = capsys.readouterr().err.removeprefix("surefoot: ").partition("; the model of step")[0]
    assert told.startswith("The loss became NaN at step 2 (epoch 1); try a smaller lr than 1e+30")
    before = {path: path.read_bytes() for path in Path("run").iterdir() if path.is_file()}
    assert main(["resume", "run"]) == 2
    out, err = capsys.readouterr()
    assert out == ""  # nothing is begun
    assert err == (
        f"surefoot: The run in 'run' diverged, and resuming would only repeat that. {told}."
        f" To start another: surefoot train --config {Path('run/config.toml')} --lr 1e+29\n"
    )
    assert {path: path.read_bytes() for path in Path("run").iterdir() if path.is_file()} == before
    # one of a version that did not note why
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-1]) + '{"kind": "end", "status": "diverged"}\n')
    assert main(["resume", "run"]) == 2
    assert capsys.readouterr().err.endswith(
        "repeat that. To start another, with a change to its options: surefoot train --config"
        f" {Path('run/config.toml')}\n"
    )


def test_a_config_that_an_editor_gave_a_mark_at_its_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run", "--checkpoint-every", "7 steps"]) == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-1]))
    Path("run/config.toml").write_bytes(b"\xef\xbb\xbf" + Path("run/config.toml").read_bytes())
    assert main(["resume", "run"]) == 0
    assert main(["plot", "run"]) == 0


def test_a_config_that_was_edited_since(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run", "--checkpoint-every", "7 steps"]) == 0
    file = Path("run/config.toml")
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-1]))
    file.write_text(file.read_text().replace("epochs = 9", "epochs = 12"))  # its schedule would not know
    capsys.readouterr()
    assert main(["resume", "run"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: The run in 'run' was started with epochs 9, not 12; resume it with the same, or choose a"
        " new folder.\n"
    )
    file.write_text(file.read_text().replace("epochs = 12", "epochs = 9"))
    assert main(["resume", "run"]) == 0


def test_what_cannot_be_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("fit").mkdir()
    Path("fit/config.toml").write_text('data = "given to fit"')
    for name, sentence in {
        "nowhere": "There is no run folder 'nowhere'.",
        "empty": "'empty' is not a run folder: it has no config.toml.",
        "fit": "The run 'fit' was made by fit() and does not hold its model and data; call fit() again with"
        " resume=True.",
    }.items():
        assert main(["resume", name]) == 2
        assert capsys.readouterr().err == f"surefoot: {sentence}\n"


def test_a_run_without_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run", "--checkpoint-every", "never"]) == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    weights = Path("run/model.safetensors").read_bytes()
    Path("run/metrics.jsonl").write_text("".join(lines[:9]))  # as if it had been killed
    capsys.readouterr()
    assert main(["resume", "run"]) == 0
    assert capsys.readouterr().out.startswith("The run 'run' has no checkpoint yet; it starts again.\n")
    assert Path("run/model.safetensors").read_bytes() == weights
    Path("run/metrics.jsonl").write_text("".join([*lines[:9], '{"kind": "end", "status": "interrupted"}\n']))
    assert main(["resume", "run"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: The run 'run' was stopped and has no checkpoint to resume from; start a new one with"
        " --config run/config.toml.\n"
    )


def test_other_data_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    np.savez("own.npz", x=x, y=y)
    assert main(["train", "--data", "own.npz", "--out", "run", "--checkpoint-every", "1 epoch"]) == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-1]))
    for other in ({"x": x, "y": 1 - y}, {"x": 5 * x, "y": y}, {"x": x[:20], "y": y[:20]}):
        np.savez("own.npz", **other)  # type: ignore[arg-type]
        capsys.readouterr()
        assert main(["resume", "run"]) == 2
        assert capsys.readouterr().err.startswith(
            "surefoot: The run in 'run' was started with other rows to train on: 32 rows of 2, float32, "
        )
    np.savez("own.npz", x=x, y=y)
    assert main(["resume", "run"]) == 0


def test_another_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run"]) == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("run/metrics.jsonl").write_text("".join(lines[:-1]))
    environment = json.loads(Path("run/environment.json").read_text())
    Path("run/environment.json").write_text(json.dumps(environment | {"torch": "1.0"}))
    capsys.readouterr()
    assert main(["resume", "run"]) == 0
    assert "\nThe run was started with torch 1.0, not " in capsys.readouterr().out


def test_how_often_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run", "--checkpoint-every", "soon"]) == 2
    assert capsys.readouterr().err == (
        "surefoot: checkpoint-every must be a number of steps, epochs, seconds, minutes or hours, such as '50"
        " steps' or '5 minutes', not 'soon'.\n"
    )
    assert not Path("run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_sigterm_and_on() -> None:
    command = [sys.executable, "-m", "surefoot"]
    train = [*command, "train", "--hidden", "16", "--epochs", "400", "--batch-size", "100", "--out", "run"]
    process = subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.split()[:1] == ["2/400"]:
            break
    time.sleep(0.1)
    other = subprocess.run([*command, "resume", "run"], capture_output=True, text=True)
    assert (other.returncode, other.stderr) == (
        2,
        "surefoot: The folder 'run' is in use by another run; wait until it ends, or choose a new folder.\n",
    )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    told, _, err = err.partition("\n")
    assert told == "surefoot: stopping after this step; a second SIGTERM stops at once"
    assert err.startswith("surefoot: Stopped at step ")
    assert err.endswith("the results so far are saved in run.\nTo continue: surefoot resume run\n")
    steps = int(err.split()[4].replace(",", ""))
    assert Path(f"run/checkpoints/step-{steps:09}.safetensors").exists()


SMALL = ["--hidden", "32", "--epochs", "3", "--checkpoint-every", "1 epoch"]


def _surefoot(*args: str, stop: str | None = None) -> int:
    """The command in a process of its own, told to stop once it has printed a line that starts so."""
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    command = [sys.executable, "-m", "surefoot", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if stop is not None and line.strip().startswith(stop):
                process.send_signal(signal.SIGINT)
                stop = None
    return process.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="it stops by a signal")
def test_in_a_process_of_its_own_it_ends_in_the_same_bits() -> None:
    assert _surefoot("train", *SMALL, "--out", "whole") == 0
    assert _surefoot("train", *SMALL, "--out", "run", stop="1/3") == 130
    assert _surefoot("resume", "run") == 0
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="it stops by a signal")
def test_one_that_was_begun_in_python_too() -> None:
    begin = (
        "import signal, torch\n"
        "from surefoot.train import Config, Interrupted, train\n"
        "from surefoot.train.folder.checkpoint import Checkpoints\n"
        "write, options = Checkpoints.write, dict(hidden=(32,), epochs=3, checkpoint_every='1 epoch')\n"
        "train(Config(**options, out='whole'), progress=False)\n"
        "def stopping(*args): write(*args); signal.raise_signal(signal.SIGINT)\n"
        "Checkpoints.write = stopping\n"
        "try: train(Config(**options, out='run'), progress=False)\n"
        "except Interrupted: print('stopped')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    done = subprocess.run(
        [sys.executable, "-c", begin], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "stopped\n"
    assert _surefoot("resume", "run") == 0
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


@pytest.mark.parametrize("damaged", ['{"mkl": 1}', "[]", "{"])
def test_a_damaged_note_of_where_it_was_begun(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *COMMON, "--out", "run"]) == 0
    Path("run/environment.json").write_text(damaged)
    capsys.readouterr()
    assert _mkl(Path("run")) is None
    assert main(["resume", "run"]) == 0
    assert "is finished" in capsys.readouterr().out
