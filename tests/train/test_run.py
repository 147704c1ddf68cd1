from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import InputError
from surefoot.train.folder.folder import RunFolder
from surefoot.train.run import Run

RECORDS: list[dict[str, Any]] = [
    {"kind": "step", "step": 1, "epoch": 1, "loss": 0.5, "lr": 0.1},
    {"kind": "valid", "step": 1, "epoch": 1, "valid_loss": 0.4, "valid_accuracy": 0.75},
    {"kind": "step", "step": 2, "epoch": 1, "loss": 0.4, "lr": 0.1},
    {
        "kind": "epoch",
        "epoch": 1,
        "step": 2,
        "train_loss": 0.45,
        "valid_loss": 0.45,
        "valid_accuracy": 0.5,
        "lr": 0.1,
        "seconds": 0.25,
    },
]


def written(path: Path) -> Run:
    folder = RunFolder(path)
    folder.create()
    run = Run("mine", "accuracy", folder)
    run.add(RECORDS[:2])
    run.add(RECORDS[2:])
    run.end("finished")
    return run


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    back = Run.load(tmp_path / "run")
    assert (back.records, back.status, back.metric) == (run.records, "finished", "accuracy")
    assert back.folder == tmp_path / "run"


def test_what_a_run_came_to(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    assert [len(run.steps), len(run.epochs), len(run.validations)] == [2, 1, 2]
    assert (run.last, run.best) == (0.5, RECORDS[1])
    assert run.closing == "validation accuracy 50.00 % (best 75.00 %, epoch 1) after 1 epoch, 2 steps, 0.2 s"
    assert repr(run) == f"<Run mine: {run.closing}; {tmp_path / 'run'}>"


def test_a_run_without_validation() -> None:
    run = Run("mine", "r2")
    assert repr(run) == "<Run mine: 0 epochs, 0 steps, 0.0 s, running>"
    run.add([{"kind": "epoch", "epoch": 1, "step": 5, "train_loss": 1.0, "lr": 0.1, "seconds": 2.0}])
    assert repr(run) == "<Run mine: 1 epoch, 5 steps, 2.0 s, running>"
    assert run.best is None


def test_a_metric_that_could_not_be_measured() -> None:
    run = Run("mine", "r2")
    run.add([{"kind": "valid", "step": 1, "epoch": 1, "valid_loss": 1.0, "valid_r2": None}])
    assert repr(run) == "<Run mine: 0 epochs, 1 step, 0.0 s, running>"


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    written(tmp_path / "run")
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text()[:-10])
    back = Run.load(tmp_path / "run")
    assert (back.records, back.status) == (RECORDS, "running")


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no run folder"):
        Run.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is not a run folder: cannot read its metrics\.jsonl"):
        Run.load(tmp_path)


def test_a_plot_of_a_run_in_memory() -> None:
    run = Run("mine", "accuracy")
    run.add(RECORDS)
    figure = run.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert run.png().startswith(b"\x89PNG")
