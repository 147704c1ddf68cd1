"""Whole runs with the compiled step: near the eager run, equal to themselves, and equal after a stop."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from surefoot.plot import painter
from surefoot.train.compiled import package
from surefoot.train.compiled.choose import choose
from surefoot.train.fitting import fit
from surefoot.train.imports import x86
from surefoot.train.objective.losses import cross_entropy
from surefoot.train.run import Interrupted
from surefoot.train.steps.engine import Job

from .conftest import BATCH, K, falling

EPOCHS, STEPS = 2, 8  # the last batch of an epoch is a short one


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch):
    monkeypatch.setattr(painter, "begun", lambda name, records, folder: bytes)


def run(job, out, compile="on", stop=0, progress=False, **options):
    """Train, and be told to stop after the step number `stop`."""
    model, optimizer, _, _ = job()
    random = torch.Generator().manual_seed(2)
    x = torch.randn(BATCH * STEPS - 3, 6, generator=random)
    y = torch.randint(0, 3, (len(x),), generator=random)
    options |= {"validate_every": f"{K} steps", "schedule": falling(stop)}
    rows, valid = (x, y), (x[:20], y[:20])
    return fit(
        model, rows, valid, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, compile=compile,
        progress=progress, out=out, **options,
    )  # fmt: skip


def metrics(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]


BY_TWO = """
from itertools import count
from surefoot.train import imports
imports.strict()
import torch
from surefoot.train.steps import sharable, shared
from surefoot.train.compiled.step import CompiledSteps
from surefoot.train.config import Config
from surefoot.train.job import train

used = []
steps = CompiledSteps.__call__
CompiledSteps.__call__ = lambda *args: used.append(torch.get_num_threads()) or steps(*args)
shared._WATCHED = shared._WARM = sharable._CLEARLY = 0
torch.set_num_threads(2)
# two threads are found slower at each trial, then faster at the first one, whatever the clock says
for better, out in ((0, "one"), (1e9, "two")):
    shared._BETTER = better
    shared.Shared.__init__.__defaults__ = 0, count().__next__, lambda: None
    train(Config(epochs=1, hidden=(64,), dropout=0.1, batch_size=100, compile="on", out=out), progress=False)
    print(max(used[-3:]))
"""


@pytest.mark.slow  # it compiles one more program; every run tries its own before it shares it
@pytest.mark.skipif(not x86(), reason="neither Intel's processor nor AMD's")
@pytest.mark.timeout(400)
def test_a_program_by_one_thread_or_two_gives_the_same_bits(tmp_path):
    done = subprocess.run([sys.executable, "-c", BY_TWO], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "2"], done.stderr
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    assert 'compile = "on"' in (tmp_path / "two" / "config.toml").read_text()


def is_at_hand(job):
    """What was compiled is found again without a word, and loaded without a compiler, by a lean torch too."""
    model, optimizer, x, y = job()
    ours, said = Job(model, cross_entropy, optimizer), []
    xs, ys = (t[0].unsqueeze(0).expand(K, *t[0].shape).contiguous() for t in (x, y))
    assert choose("auto", ours, (x[0], y[0]), every=K, last=1000, say=said.append)[1] == "on"
    assert said == []
    code = (
        "import sys; from surefoot.train import imports; imports.lean();"
        "from surefoot.train.compiled import noise, package; noise.by_bits();"
        f"assert package.load({package.key(ours, xs, ys)!r}) is not None;"
        "print([m for m in ('torch._dynamo', 'torch._inductor') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.timeout(400)
def test_runs_with_the_compiled_step(job, tmp_path, capsys):
    one, other, eager = (tmp_path / name for name in ("one", "other", "eager"))
    compiled = run(job, one, progress=True)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Compiling the training step, once for this model and batch size: 15 to 30 s …"
    is_at_hand(job)
    plain = run(job, eager, compile="off")
    assert 'compile = "on"' in (one / "config.toml").read_text()
    assert 'compile = "off"' in (eager / "config.toml").read_text()
    losses = [torch.tensor([s["loss"] for s in r.steps]) for r in (compiled, plain)]
    assert torch.allclose(*losses, rtol=1e-3)
    assert [s["lr"] for s in compiled.steps] == [s["lr"] for s in plain.steps]

    run(job, other)  # one seed, one result
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert metrics(one) == metrics(other)

    for stop in (2, 5, 13):  # within a program, at its end, in the second epoch
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            run(job, out, stop=stop)
        run(job, out, compile="off", resume=True)  # the folder says which step the run takes
        assert (out / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()
        assert metrics(out) == metrics(one)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_runs_with_the_compiled_step_in_parts(job, tmp_path):
    compiled = run(job, tmp_path / "whole", accumulate=2)
    plain = run(job, tmp_path / "eager", accumulate=2, compile="off")
    assert 'compile = "on"' in (tmp_path / "whole" / "config.toml").read_text()
    losses = [torch.tensor([s["loss"] for s in r.steps]) for r in (compiled, plain)]
    assert torch.allclose(*losses, rtol=1e-3)
    with pytest.raises(Interrupted):
        run(job, tmp_path / "stopped", accumulate=2, stop=5)
    run(job, tmp_path / "stopped", accumulate=2, resume=True)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]
