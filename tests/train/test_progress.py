from __future__ import annotations

import errno
import io
import sys
from typing import Any

import pytest

from surefoot.train import progress
from surefoot.train.progress import Progress

RECORD: dict[str, Any] = {
    "epoch": 1,
    "train_loss": 0.31234,
    "valid_loss": 0.2,
    "valid_accuracy": 0.9375,
    "seconds": 1.26,
}


def test_a_line_per_epoch_below_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(10, 100, "accuracy")
    for epoch in (1, 2):
        shown.begin(epoch)
        shown.update(50, 0.5)
        shown.end(RECORD | {"epoch": epoch})
    out = capsys.readouterr()
    assert out.out == (
        "epoch   training loss   validation loss   accuracy      time\n"
        " 1/10          0.3123            0.2000    93.75 %     1.3 s\n"
        " 2/10          0.3123            0.2000    93.75 %     1.3 s\n"
    )
    assert out.err == ""


@pytest.mark.parametrize(
    ("metric", "record", "line"),
    [
        (
            None,
            {"epoch": 1, "train_loss": 1e6, "seconds": 150.0},
            "epoch   training loss      time\n  1/1       1.000e+06   2.5 min\n",
        ),
        (
            "accuracy",
            {**RECORD, "valid_accuracy_mean": 0.8175},
            "epoch   training loss   validation loss   accuracy   accuracy, mean      time\n"
            "  1/1          0.3123            0.2000    93.75 %          81.75 %     1.3 s\n",
        ),
        (
            "r2",
            {"epoch": 1, "train_loss": 0.5, "valid_loss": 0.25, "valid_r2": 0.98765, "seconds": 1.0},
            "epoch   training loss   validation loss           R²      time\n"
            "  1/1          0.5000            0.2500       0.9877     1.0 s\n",
        ),
        (
            "r2",
            {"epoch": 1, "train_loss": 1e13, "valid_loss": 2e9, "valid_r2": -25260.4, "seconds": 1.0},
            "epoch   training loss   validation loss           R²      time\n"
            "  1/1       1.000e+13         2.000e+09   -2.526e+04     1.0 s\n",
        ),
    ],
)
def test_what_is_there_is_shown(
    metric: str | None, record: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(1, 100, metric, several="valid_accuracy_mean" in record)
    shown.begin(1)
    shown.end(record)
    assert capsys.readouterr().out == line


def test_columns_stay_where_they_are_when_one_is_missing_for_an_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Progress(2, 100, "accuracy")
    shown.begin(1)
    shown.end(RECORD)
    shown.end({"epoch": 2, "train_loss": 0.1, "seconds": 1.0})
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "  2/2          0.1000" + " " * 34 + "1.0 s"


def test_a_watched_epoch_has_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_watched", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    shown = Progress(2, 100, "accuracy")
    shown.begin(1)
    shown._bar.mininterval = 0
    shown.update(50, 0.5)
    shown._bar.refresh()
    shown.end(RECORD)
    out = capsys.readouterr()
    assert "1/2" in out.err
    assert "50 %" in out.err
    assert "  1/2          0.5000   " in out.err
    assert "samples/s" in out.err
    assert "left" in out.err
    assert "left" not in out.out


def test_a_bar_that_cannot_be_drawn_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(progress, "_watched", lambda: True)
    monkeypatch.setattr(sys, "stderr", Gone())
    shown = Progress(1, 100, None)
    shown.begin(1)  # it cannot be made; a terminal may also go away later
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shown.begin(1)
    shown._bar.mininterval = 0
    monkeypatch.setattr(shown._bar.fp, "write", Gone().write)
    shown.update(50, 0.5)
    shown.end()


def test_a_narrow_line_has_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_watched", lambda: True)
    monkeypatch.setenv("COLUMNS", "79")
    shown = Progress(2, 100, "accuracy")
    shown.begin(1)
    shown.end()
    err = capsys.readouterr().err
    assert "left" in err
    assert "samples" not in err


def test_nobody_watches_a_pipe_or_a_notebook_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not progress._watched()
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    for spec, watched in ((None, False), (object(), True)):
        monkeypatch.setattr(progress, "find_spec", lambda name, spec=spec: spec)
        assert progress._watched() is watched


def test_many_epochs_keep_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1000, 10, None)
    for epoch in (1, 1000):
        progress.begin(epoch)
        progress.end({"epoch": epoch, "train_loss": 0.5, "seconds": 1.0})
    assert len({len(line) for line in capsys.readouterr().out.splitlines()}) == 1


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(1, 100, None, shown=False)
    shown.begin(1)
    shown.update(50, 0.5)
    shown.end(RECORD)
    assert capsys.readouterr().out == ""
