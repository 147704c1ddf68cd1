from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from surefoot import SGD
from surefoot.errors import InputError
from surefoot.train.steps import engine
from surefoot.train.steps.engine import Job

X, Y = torch.linspace(-1, 1, 8).reshape(4, 2), torch.tensor([0, 1, 2, 0])


def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_a_step_is_forward_backward_update() -> None:
    net, by_hand = model(), model()
    step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5)))
    loss = step(X, Y)
    assert not loss.requires_grad
    expected = functional.cross_entropy(by_hand(X), Y)
    gradients = torch.autograd.grad(expected, list(by_hand.parameters()))
    assert torch.equal(loss, expected)
    for p, before, g in zip(net.parameters(), by_hand.parameters(), gradients, strict=True):
        assert torch.equal(p, before - 0.5 * g)


def test_gradients_do_not_add_up() -> None:
    net = model()
    step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters(), lr=1e-9)))
    step(X, Y)
    first = net.weight.grad
    step(X, Y)
    torch.testing.assert_close(net.weight.grad, first)


def test_the_way_past_backward_is_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = model(), model()
    losses = []
    for net, run in zip(nets, (engine._run_backward, None), strict=True):
        assert run is not None or net is nets[1], "torch has no _execution_engine any more"
        monkeypatch.setattr(engine, "_run_backward", run)
        step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5, momentum=0.9)))
        losses.append([step(X, Y) for _ in range(3)])
    assert losses[0] == losses[1]
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(p, q)


def test_what_is_not_trained_of_a_loss_gathers_no_gradients() -> None:
    class Scaled(nn.Linear):
        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return functional.cross_entropy(super().forward(output), target)

    net, loss, gradients = model(), Scaled(3, 3), []
    step = engine.eager(Job(net, loss, SGD(net.parameters(), lr=1e-30)))
    for _ in range(2):
        step(X, Y)
        assert loss.weight.grad is not None
        gradients.append(loss.weight.grad.clone())
    assert torch.equal(*gradients)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda output, y: functional.cross_entropy(output.detach(), y), "look for detach"),
        (lambda output, y: functional.cross_entropy(output, y) * 1j, "only for real scalar outputs"),
        (lambda output, y: output.argmax(), "The loss does not depend on the parameters in a way that can"),
    ],
)
def test_a_loss_that_cannot_go_back_is_told(loss: Callable[..., torch.Tensor], message: str) -> None:
    net = model()
    with pytest.raises((InputError, RuntimeError), match=message):
        engine.eager(Job(net, loss, SGD(net.parameters(), lr=0.5)))(X, Y)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda output, y: functional.cross_entropy(output, y, reduction="none"),
            r"of shape \(4,\); it must",
        ),
        (lambda output, y: 0.5, "The loss returns a float; it must return a tensor"),
    ],
)
def test_what_is_no_scalar_tensor_is_no_loss(loss: Any, message: str) -> None:
    net = model()
    with pytest.raises(InputError, match=message):
        engine.eager(Job(net, loss, SGD(net.parameters(), lr=0.5)))(X, Y)


def test_the_gradient_is_clipped() -> None:
    net = model()
    step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5), clip=0.01))
    step(X, Y)
    norm = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_an_optimizer_that_needs_a_closure_gets_one() -> None:
    net = model()
    step = engine.eager(Job(net, functional.cross_entropy, torch.optim.LBFGS(net.parameters(), max_iter=4)))
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
        Job(net, loss, SGD(net.parameters(), lr=0.5), autocast=torch.autocast("cpu", torch.bfloat16))
    )
    step(X, Y)
    assert seen == [torch.bfloat16]
    assert net.weight.dtype == torch.float32


def test_no_batch_ever_waits() -> None:
    net = model()
    step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters(), lr=0.5)))
    assert step.whole
    step(X, Y)
    assert step.whole
    after = [p.clone() for p in net.parameters()]
    step.flush()
    assert all(map(torch.equal, net.parameters(), after))


def whole_and_parted(count: int, rows: int = 7, **options: object) -> tuple[nn.Module, nn.Module]:
    """Two models after a step on the same batch, one of them in parts."""
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(1))
    y = torch.arange(rows) % 3
    nets = model(), model()
    for net, accumulate in zip(nets, (1, count), strict=True):
        sgd = SGD(net.parameters(), lr=0.5, momentum=0.9)
        engine.eager(Job(net, functional.cross_entropy, sgd, accumulate=accumulate, **options))(x, y)  # type: ignore[arg-type]
    return nets


@pytest.mark.parametrize("count", [2, 3, 7, 9])  # 7 rows: in parts of one, and fewer than parts
@pytest.mark.parametrize("clip", [None, 0.01])
def test_parts_make_the_whole_batchs_update(count: int, clip: float | None) -> None:
    whole, parted = whole_and_parted(count, clip=clip)
    for p, q in zip(whole.parameters(), parted.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


def test_parts_weigh_as_many_rows_as_they_have() -> None:
    """By hand: rows of gradient 2wx² = 2, 8, 18, 32; parts (2, 8), 18, 32; ½·5 + ¼·18 + ¼·32 = 15."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    step = engine.eager(Job(net, functional.mse_loss, SGD(net.parameters(), lr=1 / 16), accumulate=3))
    assert step(x, torch.zeros(4, 1)).item() == 7.5
    assert net.weight.grad is not None
    assert net.weight.grad.item() == 15
    assert net.weight.item() == 1 - 15 / 16


def test_a_closure_takes_the_parts_each_time() -> None:
    nets = model(), model()
    for net, accumulate in zip(nets, (1, 3), strict=True):
        lbfgs = torch.optim.LBFGS(net.parameters(), max_iter=4)
        engine.eager(Job(net, functional.cross_entropy, lbfgs, accumulate=accumulate))(X, Y)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


def test_a_part_is_forgotten_before_the_next() -> None:
    """What is kept for the backward pass is a part's, not the batch's: that is what parts are for."""
    net, rows = model(), []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        rows.append(len(tensor) if tensor.shape[1:] == (2,) else 0)
        return tensor

    step = engine.eager(Job(net, functional.cross_entropy, SGD(net.parameters()), accumulate=2))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        step(X, Y)
    assert max(rows) == 2


@pytest.mark.parametrize(
    "autocast", [None, torch.autocast("cpu", torch.bfloat16)], ids=["float32", "bfloat16"]
)
def test_a_loss_that_is_no_mean_is_told_once(autocast: torch.autocast | None) -> None:
    def total(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        torch.rand(1)  # a loss may draw random numbers: looking at it must not
        return functional.cross_entropy(output, target, reduction="sum")

    def step_of(loss: Callable[..., torch.Tensor]) -> engine.Step:
        net = model()
        return engine.eager(Job(net, loss, SGD(net.parameters(), lr=1e-9), accumulate=2, autocast=autocast))

    step_of(functional.cross_entropy)(X, Y)  # says nothing
    step = step_of(total)
    torch.manual_seed(0)
    with pytest.warns(
        UserWarning, match=r"^The loss of a whole batch is 4\.\d+, but 2\.\d+ as the mean over"
    ):
        step(X, Y)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(X, Y)
    assert torch.equal(torch.get_rng_state(), after)


def parted(loss: Callable[..., torch.Tensor], y: torch.Tensor, count: int) -> None:
    """A step in parts of a head that begins with zeros, of which each row has the same loss."""
    net = nn.Linear(2, 3)
    for p in net.parameters():
        nn.init.zeros_(p)
    x = torch.randn(len(y), 2, generator=torch.Generator().manual_seed(1))
    engine.eager(Job(net, loss, SGD(net.parameters(), lr=0.1), accumulate=count))(x, y)


def test_a_loss_that_is_no_mean_is_told_though_its_value_is() -> None:
    weight = torch.tensor([0.1, 1.0, 5.0])
    y = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2])
    with pytest.warns(
        UserWarning, match=r"1\.099, as is the mean of its 4 parts, but its gradient differs by"
    ):
        parted(lambda output, target: functional.cross_entropy(output, target, weight=weight), y, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parted(lambda output, target: functional.cross_entropy(output, target), y, 4)
        parted(nn.CrossEntropyLoss(weight), y, 4)


def test_outputs_that_make_no_whole_batch_are_no_fault() -> None:
    class Sequences(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).expand(5, -1, -1)  # (time, rows, classes)

    net = Sequences(2, 3)
    loss = lambda output, target: functional.cross_entropy(output.mean(0), target)  # noqa: E731
    engine.eager(Job(net, loss, SGD(net.parameters(), lr=0.1), accumulate=2))(X, Y)


def test_a_part_that_has_nothing_to_take_a_mean_over_is_told() -> None:
    y = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2])
    with pytest.warns(UserWarning, match=r"is 1\.099, but nan as .* with accumulate=4 it cannot be trained"):
        parted(lambda output, target: functional.cross_entropy(output, target, ignore_index=0), y, 4)


@pytest.mark.parametrize("form", [lambda output: {"out": output}, lambda output: (output, output)])
def test_parts_of_what_is_no_tensor(form: Callable[[torch.Tensor], Any]) -> None:
    """Nobody can tell whether such a loss is average rows, so nothing is said of it."""

    class Net(nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return form(super().forward(x))

    def loss(output: Any, target: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(output["out"] if isinstance(output, dict) else output[0], target)

    nets = [Net(2, 3), Net(2, 3)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net, accumulate in zip(nets, (1, 2), strict=True):
        engine.eager(Job(net, loss, SGD(net.parameters(), lr=0.5), accumulate=accumulate))(X, Y)
    torch.testing.assert_close(nets[0].weight, nets[1].weight, rtol=1e-6, atol=1e-7)
