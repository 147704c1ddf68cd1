"""Captured steps against eager ones: on a GPU where there is one, and on a stand-in for it."""

from __future__ import annotations

import dataclasses
import random
import warnings

import pytest
import torch
from torch import nn

import surefoot
from surefoot.plot import painter
from surefoot.train import fitting, training
from surefoot.train.compiled import graph
from surefoot.train.run import Interrupted
from surefoot.train.steps import engine
from surefoot.train.steps.engine import Job

from .conftest import BATCH, falling
from .recorder import REFUSAL, stand_in

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
)
OPTIONS = [
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.25},
    {"momentum": 0.9, "dampening": 0.5, "maximize": True},
    {"momentum": 0.9, "weight_decay": 0.25, "decoupled_weight_decay": True},
    {"momentum": 0.9, "convention": "keras", "kahan": True},
    {"momentum": 0.9, "convention": "ema", "state_dtype": torch.float64},
    {"momentum": 0.9, "capturable": True, "foreach": True},
    {},
]
STEPS = [{"clip": 0.1}, {"accumulate": 2}, {"autocast": True}]


@pytest.fixture(params=["stand-in", CUDA])
def device(request, monkeypatch):
    """Where graphs are captured."""
    if request.param == "stand-in":
        stand_in(monkeypatch)
    return torch.device("cuda" if request.param == "cuda" else "cpu")


@pytest.fixture
def replays(monkeypatch):
    """The losses that came from graphs, trials left out."""
    losses, replay = [], graph.Graph.__call__

    def counted(self, x, y):
        losses.append(replay(self, x, y))
        return losses[-1]

    monkeypatch.setattr(graph.Graph, "__call__", counted)
    return losses


class Net(nn.Module):
    """Batch norm counts, dropout draws, one layer is not used."""

    def __init__(self, hidden=8):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, hidden), nn.BatchNorm1d(hidden), nn.Linear(hidden, 3)
        self.unused, self.dropout = nn.Linear(2, 2), nn.Dropout(0.25)

    def forward(self, x):
        return self.last(self.dropout(torch.relu(self.norm(self.first(x)))))


class Reads(Net):
    """Cannot be captured: Python reads a value."""

    def forward(self, x):
        return super().forward(x) * x.sum().item()


class Counts(Net):
    """Can be captured, and is another step then: Python counts."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


def job(device, net=Net, clip=None, accumulate=1, autocast=False, **options):
    """The same job each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = net().to(device)
    optimizer = surefoot.SGD(model.parameters(), **{"lr": 0.1, **options})
    entered = torch.autocast(device.type, torch.bfloat16) if autocast else None
    return Job(model, nn.functional.cross_entropy, optimizer, clip, entered, accumulate)


def batches(device, sizes):
    of = torch.Generator().manual_seed(1)
    rows = [(torch.randn(n, 6, generator=of), torch.randint(0, 3, (n,), generator=of)) for n in sizes]
    return [(x.to(device), y.to(device)) for x, y in rows]


def random_state(device):
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state()] if device.type == "cuda" else [])
    return torch.cat(states)


def run(step, job, rows, lrs, device):
    """The losses of the steps, and the random state at their end."""
    torch.manual_seed(2)
    losses = []
    for (x, y), lr in zip(rows, lrs, strict=True):
        for group in job.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr)  # as schedules do
            else:
                group["lr"] = lr
        losses.append(step(x, y))
    return torch.stack(losses), random_state(device)


def snapshot(job):
    """All that a step may change."""
    groups = [{k: v for k, v in g.items() if k != "params"} for g in job.optimizer.param_groups]
    return (
        [t.clone() for t in graph._tensors(job)],
        str(groups),
        random_state(next(job.model.parameters()).device),
    )


def assert_same(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        assert torch.equal(a, b)
    assert one[1] == other[1]
    assert torch.equal(one[2], other[2])


@pytest.mark.parametrize(
    ("options", "how"), [(o, {}) for o in OPTIONS] + [(OPTIONS[1], s) for s in STEPS], ids=str
)
def test_replays_are_eager_steps(device, replays, options, how):
    """With a schedule, and a last, shorter batch in each of two epochs."""
    ours, eager = job(device, **options, **how), job(device, **options, **how)
    rows = batches(device, [BATCH, BATCH, BATCH, 5] * 2)
    step = graph.captured(ours, rows[0])
    assert isinstance(step, graph.Captured)
    replays.clear()
    lrs = [0.1 / (1 + t) for t in range(8)]
    losses, state = run(step, ours, rows, lrs, device)
    expected, expected_state = run(engine.eager(eager), eager, rows, lrs, device)
    # eager are the first, which makes the buffers, and the short ones
    assert torch.equal(
        torch.stack(replays), losses[[1, 2, 4, 5, 6]] if options else losses[[0, 1, 2, 4, 5, 6]]
    )
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(state, expected_state)  # dropout has drawn as many random numbers
    for got, want in zip(graph._tensors(ours), graph._tensors(eager), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("option", ["momentum", "weight_decay"])
def test_other_options_than_captured_run_eagerly(device, replays, option):
    ours, eager = job(device, momentum=0.9), job(device, momentum=0.9)
    rows = batches(device, [BATCH] * 4)
    taken, stepped = graph.captured(ours, rows[0]), engine.eager(eager)
    replays.clear()
    before = ours.optimizer.param_groups[0][option]
    for value, (x, y) in zip((before, before, 0.5, before), rows, strict=True):
        for own, step in ((ours, taken), (eager, stepped)):
            own.optimizer.param_groups[0][option] = value
            torch.manual_seed(3)
            step(x, y)
    assert len(replays) == 2
    for got, want in zip(graph._tensors(ours), graph._tensors(eager), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_the_trial_leaves_no_trace(device):
    ours = job(device, momentum=0.9)
    before = snapshot(ours)
    graph.captured(ours, batches(device, [BATCH])[0])
    assert_same(snapshot(ours), before)
    assert not ours.optimizer.state
    assert all(p.grad is None for p in ours.model.parameters())


@pytest.mark.parametrize("net", [Net, Reads])
def test_a_capture_puts_everything_back(device, net):
    """Warm-up moves weights, buffers, momentum, random numbers; whether the capture then succeeds or not."""
    ours, (x, y) = job(device, net, momentum=0.9), batches(device, [BATCH])[0]
    step = engine.eager(ours)
    step(x, y)
    before = snapshot(ours)
    if net is Net:
        graph.Graph(ours, step, x, y)
    else:
        with pytest.raises(RuntimeError) as caught:
            graph.Graph(ours, step, x, y)
        assert graph.cause(caught.value) == REFUSAL
    assert_same(snapshot(ours), before)
    step(x, y)  # with dropout: random numbers are not stuck in a capture that failed


def test_a_step_that_python_changes_is_found_out(device):
    found = graph.captured(job(device, Counts), batches(device, [BATCH])[0])
    assert isinstance(found, str)
    assert "rounding is" in found


def test_a_capture_that_fails_within_the_run_is_told_once(device, monkeypatch, replays):
    ours, eager = job(device, momentum=0.9), job(device, momentum=0.9)
    rows = batches(device, [BATCH] * 4)
    step = graph.captured(ours, rows[0])
    replays.clear()

    def fail(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("no memory is left\nand advice")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    with pytest.warns(UserWarning, match="^The training step could not be captured ") as caught:
        losses, state = run(step, ours, rows, [0.1] * 4, device)
    assert [str(w.message) for w in caught] == [
        "The training step could not be captured and runs eagerly: no memory is left"
    ]
    assert not replays
    expected, expected_state = run(engine.eager(eager), eager, rows, [0.1] * 4, device)
    assert torch.equal(losses, expected)
    assert torch.equal(state, expected_state)


def test_a_loss_that_is_no_mean_is_told_by_the_run_alone(device):
    def total(output, target):
        return nn.functional.cross_entropy(output, target, reduction="sum")

    ours = dataclasses.replace(job(device, accumulate=2), loss=total)
    rows = batches(device, [BATCH] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = graph.captured(ours, rows[0])
    with pytest.warns(UserWarning, match="^The loss of a whole batch is ") as caught:
        run(step, ours, rows, [1e-3] * 3, device)
    assert len(caught) == 1


def test_without_cuda_there_is_nothing_to_capture():
    cpu = torch.device("cpu")
    with pytest.raises(Exception, match=r"(?i)cuda"):
        graph.captured(job(cpu), batches(cpu, [BATCH])[0])


def test_a_run_with_the_captured_step_is_resumed_bit_for_bit(device, replays, monkeypatch, tmp_path):
    monkeypatch.setattr(painter, "begun", lambda name, records, folder: bytes)
    if device.type == "cpu":  # what choose does on a GPU
        monkeypatch.setattr(
            training, "choose", lambda mode, job, batch, **_: (graph.captured(job, batch), "on")
        )
    x = torch.randn(BATCH * 6 - 3, 6, generator=torch.Generator().manual_seed(4))
    y = x[:, :3].argmax(1)

    def fit(out, stop=0, **options):
        return fitting.fit(
            job(device).model, (x, y), (x[:20], y[:20]), epochs=3, batch_size=BATCH, device=device,
            compile="on", optimizer=lambda p: surefoot.SGD(p, lr=0.1, momentum=0.9),
            schedule=falling(stop),
            out=tmp_path / out, progress=False, **options,
        )  # fmt: skip

    whole = fit("whole")
    assert len(whole.steps) == 18
    assert len(replays) == 1 + 14  # of the trial, and all but the first and the three short ones
    assert 'compile = "on"' in (tmp_path / "whole" / "config.toml").read_text()
    for stop in (1, 2, 5, 6, 10):
        out = f"stopped-{stop}"
        with pytest.raises(Interrupted):
            fit(out, stop=stop)
        fit(out, resume=True)
        for name in ("model.safetensors", "best.safetensors"):
            assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / out / name).read_bytes()


def test_the_cause_is_what_was_said_first():
    first, last = RuntimeError(f"{REFUSAL}\nand advice"), RuntimeError("failed due to a previous error")
    first.__context__, last.__context__ = KeyError("met and dealt with before"), first
    assert graph.cause(last) == REFUSAL
    assert graph.cause(MemoryError()) == "MemoryError"


def test_models_that_draw_from_python_are_found_out(device):
    class Moody(Net):
        def forward(self, x):
            return super().forward(x) * random.random()

    assert isinstance(graph.captured(job(device, Moody), batches(device, [BATCH])[0]), str)
