from __future__ import annotations

import errno
import io
import sys

import pytest
import torch
from torch import nn

from surefoot.train.fitting import fit
from surefoot.train.saying import say


class Failing(io.StringIO):
    """A stream of which every write fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


LOST = [
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("I/O operation on closed file."),
]


@pytest.mark.parametrize("error", LOST)
def test_what_cannot_be_printed_ends_no_run(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(error))
    x = torch.arange(200, dtype=torch.uint8).reshape(50, 4)  # of bytes there is an advice, too
    run = fit(nn.Linear(4, 2), (x, x[:, 0] % 2), (x, x[:, 0] % 2), epochs=2)
    assert (run.status, len(run.epochs)) == ("finished", 2)
    with pytest.raises(type(error)):  # what is the user's own fails as ever
        print("mine")


def test_a_full_disk_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in LOST:
        monkeypatch.setattr(sys, "stdout", Failing(error))
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            with pytest.raises(OSError, match="No space left"):
                say("a heading", begun=False)
        else:
            say("a heading", begun=False)


def test_letters_that_an_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    say("R² 0.9", error=True)
    assert raw.getvalue().split() == [b"R?", b"0.9"]


def test_without_a_stream(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("nothing", error=True)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdout", None)
    say("nothing")
