"""Products that are made the other way round."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import surefoot
from surefoot.train.compiled import program
from surefoot.train.compiled.turned import worth_turning
from surefoot.train.objective.losses import cross_entropy
from surefoot.train.steps.engine import Job


@pytest.mark.parametrize(
    ("rows", "columns", "threads", "worth"),
    [
        (256, 784, 2, True),
        (256, 784, 1, False),
        (256, 784, 4, False),  # not measured
        (392, 784, 2, False),  # of twice the length MKL leaves rows whole
        (391, 784, 2, True),
        (784, 256, 2, False),
        (512, 2048, 2, False),  # to read it across takes too long
    ],
)
def test_which_products_are_turned(rows: int, columns: int, threads: int, worth: bool) -> None:
    assert worth_turning(rows, columns, threads) == worth


class Products(TorchDispatchMode):
    """Notes the shapes of what products are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[tuple[int, ...], ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mm.default:
            self.seen.append(tuple(tuple(t.shape) for t in args))
        return func(*args, **(kwargs or {}))


class Flat(nn.Module):
    """Its weight is stored flat, so that its gradient is viewed; and it views a wide product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(80)), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.linear(x, self.weight.view(4, 20))
        return self.head(hidden) + (hidden.t() @ x).view(-1).mean()


def _taken(
    threads: int, monkeypatch: pytest.MonkeyPatch, kind: Any = None
) -> tuple[list[torch.Tensor], Products]:
    """Two traced steps: all that they change, their losses, and their products."""
    monkeypatch.setattr(program, "expected", lambda job, rows: threads)
    torch.manual_seed(0)
    model = kind() if kind else nn.Sequential(nn.Linear(20, 4), nn.ReLU(), nn.Linear(4, 3))
    job = Job(model, cross_entropy, surefoot.SGD(model.parameters(), lr=0.1, momentum=0.9))
    found = program.trace(job, torch.randn(2, 8, 20), torch.randint(0, 3, (2, 8)))
    inputs = [t.clone() for t in found.inputs]
    inputs[-1].fill_(0.5)  # lr and momentum
    with Products() as products:
        losses = found.graph(*inputs)
    return [losses, *inputs], products


def test_two_threads_get_a_wide_gradient_turned_and_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    (one, usual), (two, turned) = _taken(1, monkeypatch), _taken(2, monkeypatch)
    wide, tall = ((4, 8), (8, 20)), ((20, 8), (8, 4))
    assert [usual.seen.count(wide), usual.seen.count(tall)] == [2, 0]
    assert [turned.seen.count(wide), turned.seen.count(tall)] == [0, 2]
    assert [p for p in usual.seen if p != wide] == [p for p in turned.seen if p != tall]
    for a, b in zip(one, two, strict=True):
        assert torch.allclose(a, b, rtol=1e-6)


def test_a_product_that_is_viewed_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    (one, usual), (two, left) = _taken(1, monkeypatch, Flat), _taken(2, monkeypatch, Flat)
    assert usual.seen == left.seen
    assert ((4, 8), (8, 20)) in left.seen
    assert all(map(torch.equal, one, two))
