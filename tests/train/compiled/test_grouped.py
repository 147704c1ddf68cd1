"""Groups of K batches give what eager steps give; which are compiled depends on the batches alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from surefoot.train.compiled.grouped import Grouped, stacked
from surefoot.train.compiled.package import Package
from surefoot.train.compiled.program import trace
from surefoot.train.compiled.step import CompiledSteps
from surefoot.train.steps.engine import Job

from .conftest import BATCH, K, eager_step


@pytest.fixture
def grouped(job):
    """(step, model, optimizer, the number of calls of the program so far, as a list of that length)."""
    model, optimizer, x, y = job()
    program = trace(Job(model, nn.functional.cross_entropy, optimizer), x, y)
    calls = []

    def run(inputs):
        calls.append(1)
        return [program.graph(*inputs)]

    def attach():
        try:
            return CompiledSteps(model, optimizer, Package(run, program.momenta, program.noise))
        except KeyError:
            return None

    step = Grouped(attach, optimizer, eager_step(model, optimizer), (x[0], y[0]), K)
    return step, model, optimizer, calls


def batches(n, size=BATCH):
    random = torch.Generator().manual_seed(n)
    x = torch.randn(n, size, 6, generator=random)
    return list(zip(x, torch.randint(0, 3, (n, size), generator=random), strict=True))


def eagerly(job, batches, lrs=None):
    model, optimizer, _, _ = job()
    step, losses = eager_step(model, optimizer), []
    for at, (x, y) in enumerate(batches):
        if lrs:
            optimizer.param_groups[0]["lr"] = lrs[at]
        losses.append(step(x, y))
    return model, torch.stack(losses)


def close(model, other):
    a, b = model.state_dict(), other.state_dict()
    return all(torch.allclose(a[n].double(), b[n].double(), rtol=1e-4, atol=1e-6) for n in a)


def test_the_same_numbers_as_eager_steps_with_a_schedule_and_a_short_last_batch(job, grouped):
    step, model, optimizer, calls = grouped
    rows, lrs = [*batches(10), *batches(1, 5)], [0.1 / (t + 1) for t in range(11)]
    losses = []
    torch.manual_seed(3)
    for (x, y), lr in zip(rows, lrs, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        losses.append(step(x, y))
    assert step.whole
    assert len(calls) == 3  # eager are the first, which makes the buffers, and the short one
    assert optimizer.param_groups[0]["lr"] == lrs[-1]
    torch.manual_seed(3)
    other, expected = eagerly(job, rows, lrs)
    assert torch.allclose(torch.stack(losses), expected, rtol=1e-4)
    assert close(model, other)


def test_flush_takes_what_waits(job, grouped):
    step, model, _, calls = grouped
    rows = batches(3)
    torch.manual_seed(3)
    losses = [step(x, y) for x, y in rows]
    assert not step.whole
    step.flush()
    assert step.whole
    assert not calls
    torch.manual_seed(3)
    other, expected = eagerly(job, rows)
    assert torch.equal(torch.stack(losses), expected)
    assert close(model, other)


def test_options_that_a_schedule_changes_are_not_the_programs(job, grouped):
    step, model, optimizer, calls = grouped
    rows, decays = batches(9), [0.0] * 5 + [0.5] + [0.0] * 3
    plain, reference, _, _ = job()
    reference_step = eager_step(plain, reference)
    for take, held, seed in ((step, optimizer, 3), (reference_step, reference, 3)):
        torch.manual_seed(seed)
        for (x, y), decay in zip(rows, decays, strict=True):
            held.param_groups[0]["weight_decay"] = decay
            take(x, y)
    assert step.whole
    assert len(calls) == 2  # of 2 … 4 and 7 … 9; 5 waited, and was taken with its own decay
    assert optimizer.param_groups[0]["weight_decay"] == 0.0
    assert close(model, plain)


def test_losses_of_earlier_groups_stay(grouped):
    step, *_ = grouped
    losses = [step(x, y) for x, y in batches(6)]
    first = torch.stack(losses[:3])
    for x, y in batches(6):
        step(x, y)
    assert torch.equal(torch.stack(losses[:3]), first)


def test_batches_that_lie_together_are_not_copied():
    x = torch.arange(24.0).reshape(6, 4)
    together = stacked(list(x.split(2)))
    assert together.data_ptr() == x.data_ptr()
    assert torch.equal(together, x.reshape(3, 2, 4))


@pytest.mark.parametrize(
    "parts",
    [
        [torch.ones(2, 3), torch.zeros(2, 3)],
        list(torch.arange(24.0).reshape(6, 4).split(2))[::-1],
        list(torch.arange(24.0).reshape(6, 4).t().split(2)),
    ],
    ids=["apart", "backwards", "across"],
)
def test_batches_that_lie_apart_are_stacked(parts):
    assert torch.equal(stacked(parts), torch.stack(parts))
