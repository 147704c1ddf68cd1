"""An optimizer asked in this process leaves it as it was."""

from __future__ import annotations

import linecache
import os

import pytest
import torch

from surefoot.check import check
from surefoot.check.contract import examine
from surefoot.check.protocol import Plan
from surefoot.check.subject.load import load
from surefoot.check.subject.patient import Here, describe
from surefoot.check.verdict import FAILED


class Careless(torch.optim.SGD):
    """Turns autograd off and sets a default dtype, and leaves them so."""

    def step(self, closure=None):
        loss = super().step(closure)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return loss


def settings():
    return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_deterministic_debug_mode()


def test_who_turns_autograd_off_is_told_and_leaves_no_trace():
    before = settings()
    report = check(Careless)
    assert "nothing-else" in {v.clause.id for v in report.failures}
    assert settings() == before
    assert check(torch.optim.Adagrad, quick=True).ok


def test_a_right_optimizer_is_right_where_autograd_is_off():
    with torch.inference_mode():
        verdicts = examine(Here(load(torch.optim.Adagrad)), Plan()).verdicts
        assert not torch.is_grad_enabled()
    assert "nothing-else" not in {v.clause.id for v in verdicts if v.outcome == FAILED}


@pytest.mark.parametrize(
    "own", ["homework.py", "/home/me/torch/homework.py", "/home/me/surefoot/homework.py"]
)
def test_the_line_that_is_told_is_the_users_own_whatever_its_folder_is_called(monkeypatch, own):
    torchs, space = os.path.join(torch.__path__[0], "optim", "sgd.py"), {}
    for file, source in ((torchs, "def f(): raise ValueError('x')\n"), (own, "def step(): f()\n")):
        monkeypatch.setitem(linecache.cache, file, (len(source), None, [source], file))
        exec(compile(source, file, "exec"), space)
    with pytest.raises(ValueError, match="x") as caught:
        space["step"]()
    # this file's own line comes first, and what torch was called by last
    assert describe(caught.value)["line"] == "line 1: def step(): f()"
