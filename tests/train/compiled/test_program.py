"""The traced program, run as Python, against eager steps: everything that the step does keeps its meaning."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
import torch
from torch import nn

import surefoot
from surefoot.train.compiled import program, verify
from surefoot.train.compiled.noise import by_bits
from surefoot.train.compiled.package import Package
from surefoot.train.compiled.program import Untraceable, trace
from surefoot.train.compiled.step import CompiledSteps
from surefoot.train.steps.engine import Job, eager

from .conftest import K, eager_step

OPTIONS = [
    {},
    {"momentum": 0},
    {"nesterov": True},
    {"dampening": 0.5},
    {"weight_decay": 0.25},
    {"weight_decay": 0.25, "decoupled_weight_decay": True, "nesterov": True},
    {"weight_decay": 0.25, "maximize": True, "dampening": 0.5},
]


def hyper(optimizer):
    now = torch.tensor([[g["lr"], g["momentum"]] for g in optimizer.param_groups], dtype=torch.float64)
    return now.expand(K, *now.shape).contiguous()


def attached(model, optimizer, x, y, clip=None, accumulate=1, loss=nn.functional.cross_entropy):
    traced = trace(Job(model, loss, optimizer, clip, None, accumulate), x, y)
    package = Package(lambda inputs: [traced.graph(*inputs)], traced.momenta, traced.noise)
    return CompiledSteps(model, optimizer, package)


def cases():
    """Clipping beside all options; beside two of them if it is to be quick."""
    for options in OPTIONS:
        for clip in (None, 0.1, 100.0):
            quick = clip is None or options in (OPTIONS[2], OPTIONS[5])
            yield pytest.param(options, clip, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("options", "clip"), [*cases()], ids=str)
def test_k_steps_equal_k_eager_steps(job, options, clip):
    if options.get("momentum") == 0:  # in both groups
        model, optimizer, x, y = job()
        for group in optimizer.param_groups:
            group["momentum"] = 0
    else:
        model, optimizer, x, y = job(**options)
    step = eager_step(model, optimizer, clip)
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y, clip)
    frozen = model.frozen.weight.clone()
    take = lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)])  # noqa: E731
    assert steps.disagreement(take, x, y, hyper(optimizer)) is None
    assert torch.equal(model.frozen.weight, frozen)


@pytest.mark.parametrize("ignored", [slice(0), slice(1, 5)])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_batches_in_parts(job, clip, ignored):
    """Eight rows in parts of 3, 3 and 2, each with its own dropout, batch norm and ignored rows."""
    model, optimizer, x, y = job(nesterov=True)
    y[:, ignored] = -100
    step = eager(Job(model, nn.functional.cross_entropy, optimizer, clip, accumulate=3))
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y, clip, accumulate=3)
    counted = model.norm.num_batches_tracked.item()
    take = lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)])  # noqa: E731
    assert steps.disagreement(take, x, y, hyper(optimizer)) is None
    assert model.norm.num_batches_tracked - counted == 3 * K


def test_parts_that_weigh_nothing_and_are_smoothed(job):
    model, optimizer, x, y = job(nesterov=True)
    y[:, :3] = 0
    y[:, 3] = 1
    weight = torch.ones(int(y.max()) + 1)
    weight[0] = 0
    loss = functools.partial(nn.functional.cross_entropy, weight=weight, label_smoothing=0.1)
    step = eager(Job(model, loss, optimizer, accumulate=3))
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y, accumulate=3, loss=loss)
    take = lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)])  # noqa: E731
    assert steps.disagreement(take, x, y, hyper(optimizer)) is None


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_batch_of_nothing_has_no_gradient(job, accumulate):
    """Its loss is NaN, or 0 of parts; the weights go on by their momentum."""
    model, optimizer, x, y = job(nesterov=True)
    y[1] = -100
    step = eager(Job(model, nn.functional.cross_entropy, optimizer, accumulate=accumulate))
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y, accumulate=accumulate)
    ours = lambda: steps(x, y, hyper(optimizer)).nan_to_num()  # noqa: E731
    take = lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)]).nan_to_num()  # noqa: E731
    assert verify.difference(steps._state, ours, take) is None
    assert model.first.weight.isfinite().all()


def test_lr_and_momentum_are_inputs(job):
    model, optimizer, x, y = job(nesterov=True)
    step = eager_step(model, optimizer)
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y)
    schedule = hyper(optimizer) * torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)[:, None, None]

    def take():
        losses = []
        for a, b, now in zip(x, y, schedule.tolist(), strict=True):
            for group, (lr, momentum) in zip(optimizer.param_groups, now, strict=True):
                group["lr"], group["momentum"] = lr, momentum
            losses.append(step(a, b))
        return torch.stack(losses)

    assert steps.disagreement(take, x, y, schedule) is None


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_small_difference_is_seen(job, factor):
    model, optimizer, x, y = job()
    step = eager_step(model, optimizer)
    step(x[0], y[0])
    steps = attached(model, optimizer, x, y)
    take = lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)])  # noqa: E731
    assert "rounding is" in str(steps.disagreement(take, x, y, hyper(optimizer) * factor))


@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])  # a graph leaves out what is the default of an operation
def test_dropout_draws_the_numbers_that_eager_steps_draw(job, share, bits, monkeypatch):
    if bits and not by_bits():
        pytest.skip("here bernoulli_ is drawn in another way, as by Intel's library")
    monkeypatch.setattr(program, "by_bits", lambda: bits)

    def run(take):
        model, optimizer, x, y = job()
        model.dropout.p = share
        with torch.random.fork_rng():
            torch.manual_seed(1)
            step = eager_step(model, optimizer)
            step(x[0], y[0])
            losses = take(model, optimizer, step, x, y)
            return losses, torch.random.get_rng_state()

    expected, after = run(lambda *job: torch.stack([job[2](a, b) for a, b in zip(*job[3:], strict=True)]))
    losses, ours = run(lambda model, opt, _, x, y: attached(model, opt, x, y)(x, y, hyper(opt)))
    assert torch.allclose(losses, expected, rtol=1e-5)
    assert torch.equal(ours, after)


def test_tracing_leaves_no_trace(job):
    model, optimizer, x, y = job()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    random = torch.random.get_rng_state()
    trace(Job(model, nn.functional.cross_entropy, optimizer), x, y)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not optimizer.state
    assert all(p.grad is None for p in model.parameters())


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x) if x.sum().item() > 0 else -self.layer(x)


class Draws(Reads):
    def forward(self, x):
        return self.layer(x) + torch.randint(0, 2, (3,)).float()


def test_a_model_that_reads_values_is_refused(job):
    _, _, x, y = job()
    model = Reads()
    with pytest.raises(Untraceable, match=r"^its step could not be traced \(.*\)$"):
        trace(Job(model, nn.functional.cross_entropy, surefoot.SGD(model.parameters())), x, y)


class Skips(Reads):
    """Stochastic depth, by numbers that torch knows nothing of."""

    draw = staticmethod(random.random)

    def forward(self, x):
        return self.layer(x) if self.draw() > 0.1 else self.layer(x) * 0


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_numbers_that_torch_does_not_draw_are_refused(job, draw):
    _, _, x, y = job()
    model = Skips()
    model.draw = draw
    before = random.getstate(), str(np.random.get_state())
    with pytest.raises(Untraceable, match=r"^its model draws numbers from random or numpy"):
        trace(Job(model, nn.functional.cross_entropy, surefoot.SGD(model.parameters())), x, y)
    assert (random.getstate(), str(np.random.get_state())) == before


def test_random_numbers_without_a_form_outside_are_refused(job):
    _, _, x, y = job()
    model = Draws()
    with pytest.raises(Untraceable, match=r"^it draws random numbers with aten\.randint"):
        trace(Job(model, nn.functional.cross_entropy, surefoot.SGD(model.parameters())), x, y)
