"""Which engine runs, and what is said of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import surefoot
from surefoot.train.compiled import package
from surefoot.train.compiled.choose import compiled, hint, obstacle, steps_at_once

from .conftest import K, eager_step


@pytest.mark.parametrize(
    ("every", "k"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (7, 1), (10, 5), (12, 4), (19, 1), (20, 5), (251, 5)],
)
def test_groups_fit_between_validations(every, k):
    assert steps_at_once(every) == k


def test_what_stands_in_the_way():
    w = [nn.Parameter(torch.ones(2))]
    x = torch.zeros(1)

    def why(autocast=False, optimizer=None, **options):
        return obstacle(optimizer or surefoot.SGD(w, **{"lr": 0.1, **options}), x, autocast=autocast)

    assert why() is None
    assert why(momentum=0.9, nesterov=True, weight_decay=0.1, decoupled_weight_decay=True) is None
    assert why(optimizer=torch.optim.Adam(w)) == "its optimizer is Adam, not surefoot.SGD"
    assert why(autocast=True) == "it runs under autocast"
    assert why(momentum=0.9, convention="keras") == "its optimizer follows convention='keras'"
    assert why(kahan=True) == "its optimizer has kahan=True"
    assert obstacle(surefoot.SGD(w), x.to("meta"), autocast=False) == "it runs on meta"


def test_a_hint_only_where_it_would_save_something():
    assert hint(1e-3, 1000) is None
    assert hint(1e-3, 149_000) is None
    assert hint(1e-3, 200_000) == "--compile on would save about 50 s of this run."
    assert hint(1e-2, 200_000) == "--compile on would save about 13 minutes of this run."


class Reads(nn.Linear):
    def forward(self, x):
        return super().forward(x) * x.sum().item()


def test_what_cannot_be_traced_is_said_once_and_runs_eagerly(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    _, _, x, y = job()
    model, said = Reads(6, 3), []
    step = compiled(
        model, nn.functional.cross_entropy, surefoot.SGD(model.parameters()), eager_step, (x[0], y[0]),
        clip=None, k=K, steps=10, mode="on", say=said.append,
    )  # fmt: skip
    assert step is None
    assert said[1].startswith("The training step runs eagerly: its step could not be traced (")


def test_a_program_that_is_wrong_is_not_used(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    model, optimizer, x, y = job()
    momenta = tuple(n for n, p in model.named_parameters() if p.requires_grad and "unused" not in n)
    wrong = package.Package(lambda inputs: [torch.ones(K)], momenta, ())
    monkeypatch.setattr(package, "load", lambda name: wrong)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.warns(
        UserWarning, match="^The compiled step differs from the eager one, which runs instead: "
    ):
        step = compiled(
            model, nn.functional.cross_entropy, optimizer, eager_step, (x[0], y[0]),
            clip=None, k=K, steps=10, mode="on", say=print,
        )  # fmt: skip
    assert step is None
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not optimizer.state


def test_a_failing_compiler_is_a_warning(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SUREFOOT_CACHE", str(tmp_path))
    model, optimizer, x, y = job()

    def fail(*_):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(package, "store", fail)
    with pytest.warns(
        UserWarning, match="^The training step could not be compiled and runs eagerly: no compiler"
    ):
        step = compiled(
            model, nn.functional.cross_entropy, optimizer, eager_step, (x[0], y[0]),
            clip=None, k=K, steps=10, mode="on", say=lambda line: None,
        )  # fmt: skip
    assert step is None
