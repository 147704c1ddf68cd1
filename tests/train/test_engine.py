from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from surefoot import SGD
from surefoot.train import engine

X, Y = torch.linspace(-1, 1, 8).reshape(4, 2), torch.tensor([0, 1, 2, 0])


def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_a_step_is_forward_backward_update() -> None:
    net, by_hand = model(), model()
    step = engine.eager(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5))
    loss = step(X, Y)
    assert not loss.requires_grad
    expected = functional.cross_entropy(by_hand(X), Y)
    gradients = torch.autograd.grad(expected, list(by_hand.parameters()))
    assert torch.equal(loss, expected)
    for p, before, g in zip(net.parameters(), by_hand.parameters(), gradients, strict=True):
        assert torch.equal(p, before - 0.5 * g)


def test_gradients_do_not_add_up() -> None:
    net = model()
    step = engine.eager(net, functional.cross_entropy, SGD(net.parameters(), lr=1e-9))
    step(X, Y)
    first = net.weight.grad
    step(X, Y)
    torch.testing.assert_close(net.weight.grad, first)


def test_the_gradient_is_clipped() -> None:
    net = model()
    step = engine.eager(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5), clip=0.01)
    step(X, Y)
    norm = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_an_optimizer_that_needs_a_closure_gets_one() -> None:
    net = model()
    step = engine.eager(net, functional.cross_entropy, torch.optim.LBFGS(net.parameters(), max_iter=4))
    before = functional.cross_entropy(net(X), Y)
    assert torch.equal(step(X, Y), before)
    assert functional.cross_entropy(net(X), Y) < before


def test_autocast_reaches_the_forward_pass() -> None:
    seen = []
    net = model()

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(output.dtype)
        return functional.cross_entropy(output, target)

    step = engine.eager(
        net, loss, SGD(net.parameters(), lr=0.5), autocast=torch.autocast("cpu", torch.bfloat16)
    )
    step(X, Y)
    assert seen == [torch.bfloat16]
    assert net.weight.dtype == torch.float32


def test_no_batch_ever_waits() -> None:
    net = model()
    step = engine.eager(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5))
    assert step.whole
    step(X, Y)
    assert step.whole
    after = [p.clone() for p in net.parameters()]
    step.flush()
    assert all(map(torch.equal, net.parameters(), after))
