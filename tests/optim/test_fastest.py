"""What is known of a parameter is found once, and true only while its layout stays."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import surefoot
from surefoot.optim import kernels
from surefoot.optim.fastest import Found, Known
from surefoot.optim.kernel_group import KernelGroup
from surefoot.optim.options import Options
from surefoot.optim.plan import Plan
from surefoot.optim.plans import Plans

Grads = Callable[[list[Parameter], int, random.Random], None]


def numbers(shape: tuple[int, ...], t: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(t))


def some(params: list[Parameter], t: int, draw: random.Random) -> None:
    """As of experts, of which each batch takes others."""
    for i, p in enumerate(params):
        p.grad = numbers(p.shape, 100 * t + i).to(p.dtype) if draw.random() < 0.5 else None


def alternating(params: list[Parameter], t: int, draw: random.Random) -> None:
    for i, p in enumerate(params):
        p.grad = numbers(p.shape, 100 * t + i) if i % 2 == t % 2 else None


def transposed(params: list[Parameter], t: int, draw: random.Random) -> None:
    some(params, t, draw)
    for p in params:
        if p.grad is not None and draw.random() < 0.3:
            p.grad = p.grad.t().contiguous().t()


def sparse(params: list[Parameter], t: int, draw: random.Random) -> None:
    some(params, t, draw)
    params[0].grad = numbers(params[0].shape, t).to_sparse(1)


def shared(params: list[Parameter], t: int, draw: random.Random) -> None:
    g = numbers(params[0].shape, t)
    for p in params:
        p.grad = g


def frozen_for_a_while(params: list[Parameter], t: int, draw: random.Random) -> None:
    some(params, t, draw)
    params[1].requires_grad_(t % 2 == 0)


def packed(params: list[Parameter], t: int, draw: random.Random) -> None:
    """End to end, each time elsewhere."""
    whole = numbers((len(params), *params[0].shape), t)
    for p, g in zip(params, whole, strict=True):
        p.grad = g


def widened(params: list[Parameter], t: int, draw: random.Random) -> None:
    if t == 7:
        params[2].grad = None
        params[2].data = params[2].data.double()
    some(params, t, draw)


GRADS = [some, alternating, transposed, sparse, shared, frozen_for_a_while, packed, widened]
OPTIONS: list[dict[str, Any]] = [{}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.5}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("grads", GRADS, ids=lambda f: f.__name__)
def test_what_was_known_before_changes_no_bit(grads: Grads, options: dict[str, Any]) -> None:
    """Beside an optimizer that looks at everything anew at each step."""
    results = []
    for forgets in (False, True):
        whole = numbers((6, 5, 5), 0)
        params = [Parameter(whole[i]) for i in range(6)] if grads is packed else []
        params = params or [Parameter(numbers((5, 5), i)) for i in range(6)]
        optimizer = surefoot.SGD([{"params": params[:4]}, {"params": params[4:], "lr": 0.2}], 0.1, **options)
        draw = random.Random(0)
        for t in range(30):
            grads(params, t, draw)
            if forgets:
                optimizer._plans = Plans()
            optimizer.step()
        buffers = (s["momentum_buffer"] for s in optimizer.state.values())
        results.append([*params, *(b.to_dense() if b.is_sparse else b for b in buffers)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Plan], list[Any]]:
    """The plans that are made to last, and the parameters that are looked at from the start."""
    noted: list[Plan] = []
    looked: list[Any] = []
    real_remember, real_note = Plan._remember, Known.note

    def remember(plan: Plan, *given: Any) -> None:
        noted.append(plan)
        real_remember(plan, *given)

    def note(known: Known, p: Any, *given: Any) -> Found:
        looked.append(p)
        return real_note(known, p, *given)

    monkeypatch.setattr(Plan, "_remember", remember)
    monkeypatch.setattr(Known, "note", note)
    return noted, looked


@pytest.mark.parametrize("grads", [some, alternating, shared], ids=lambda f: f.__name__)
def test_where_no_plan_lasts_few_are_kept(grads: Grads, monkeypatch: pytest.MonkeyPatch) -> None:
    """To keep one takes longer than the step."""
    noted, looked = counted(monkeypatch)
    params = [Parameter(numbers((5, 5), i)) for i in range(20)]
    optimizer = surefoot.SGD(params, lr=0.1, momentum=0.9)
    draw = random.Random(0)
    for t in range(200):
        grads(params, t, draw)
        optimizer.step()
    assert len(noted) < 12
    assert len(looked) == 20
    for _ in range(100):  # as soon as they last again
        some(params, 0, random.Random(0))
        optimizer.step()
    assert optimizer._plans.kept is not None
    assert optimizer._plans.kept.uses > 30


def test_gradients_packed_anew_each_time_keep_their_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    noted, _ = counted(monkeypatch)
    whole = numbers((6, 5, 5), 0)
    params = [Parameter(whole[i]) for i in range(6)]
    optimizer = surefoot.SGD(params, lr=0.1, momentum=0.9)
    for t in range(10):
        packed(params, t, random.Random(0))
        optimizer.step()
    assert len(noted) == 1


@pytest.mark.parametrize("lasts", [False, True])
def test_memory_that_comes_to_be_shared_is_seen(lasts: bool) -> None:
    ours, theirs = ([Parameter(torch.zeros(64)), Parameter(torch.zeros(64))] for _ in range(2))
    a = surefoot.SGD(ours, lr=1.0, momentum=0.5)
    b = torch.optim.SGD(theirs, lr=1.0, momentum=0.5, foreach=False)
    for params, optimizer in ((ours, a), (theirs, b)):
        for t in range(6):
            params[0].grad = torch.ones(64)
            params[1].grad = torch.ones(64) if lasts or t % 2 else None
            if t == 5:  # the gradient is what the step writes
                params[0].grad = optimizer.state[params[0]]["momentum_buffer"].detach()
            optimizer.step()
    assert torch.equal(ours[0], theirs[0])


def test_memory_that_was_shared_leaves_no_other_kernel() -> None:
    """A run that is resumed later takes the fused one, and its bits."""
    p = Parameter(numbers((37,), 0))
    optimizer = surefoot.SGD([p], lr=0.1, momentum=0.9)
    p.grad = numbers((37,), 1)
    optimizer.state[p]["momentum_buffer"] = p.grad
    for t in range(5):
        optimizer.step()
        assert (optimizer._plans.kept is None) == (t == 0)
        p.grad = numbers((37,), t)
    assert optimizer._plans.kept is not None
    assert [run.kernel for run in optimizer._plans.kept.runs] == [kernels.fused]


def test_an_lr_of_another_dtype_is_another_kind() -> None:
    """On a GPU the fused kernel takes one of float32 alone."""
    kinds = {Options(lr=lr).kind for lr in (0.1, 1, torch.tensor(0.1), torch.tensor(0.1).double())}
    assert len(kinds) == 3


def test_an_interrupt_stays_one_whatever_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    p = Parameter(torch.ones(4))
    p.grad = torch.ones(4)
    optimizer = surefoot.SGD([p], lr=0.1)
    optimizer.param_groups[0]["lr"] = -0.1

    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(KernelGroup, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()


def test_what_the_user_lets_go_of_is_free() -> None:
    """Parameters without momentum, and memory that was laid end to end by hand."""
    whole, grads = torch.zeros(8), torch.ones(8)
    params = [Parameter(whole[:4]), Parameter(whole[4:])]
    idle = Parameter(torch.zeros(4))
    optimizer = surefoot.SGD([*params, idle], lr=0.5)
    for _ in range(2):
        params[0].grad, params[1].grad = grads[:4], grads[4:]
        optimizer.step()
    assert whole.tolist() == [-1.0] * 8
    counts = [torch._C._storage_Use_Count(t.untyped_storage()._cdata) for t in (whole, grads, idle.data)]
    optimizer.zero_grad()
    optimizer.param_groups.clear()
    del params, idle
    gc.collect()
    left = [torch._C._storage_Use_Count(t.untyped_storage()._cdata) for t in (whole, grads)]
    assert left == [counts[0] - 2, counts[1] - 2]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("momentum", None, "Invalid momentum: None; it must be a number"),
        ("lr", "0.1", "Invalid lr: '0.1'; it must be a number or a one-element tensor"),
        ("lr", torch.tensor([0.1, 0.2]), "Tensor lr must be 1-element"),
        ("weight_decay", torch.tensor([0.1, 0.2]), "Tensor weight_decay must be 1-element"),
    ],
)
@pytest.mark.parametrize("foreach", [None, False, True])
def test_an_option_spoilt_later_is_told(name: str, value: Any, said: str, foreach: bool | None) -> None:
    w = Parameter(torch.ones(4))
    w.grad = torch.ones(4)
    optimizer = surefoot.SGD([w], lr=0.1, momentum=0.9, foreach=foreach)
    optimizer.step()
    optimizer.param_groups[0][name] = value
    with pytest.raises((TypeError, ValueError), match=said):
        optimizer.step()


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}], ids=str)
def test_sparse_gradients_keep_their_plan(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    noted, looked = counted(monkeypatch)
    params = [Parameter(numbers((5, 5), i)) for i in range(3)]
    optimizer = surefoot.SGD(params, lr=0.1, **options)
    for t in range(10):
        for p in params[:2]:
            p.grad = numbers((5, 5), t).tril(-(t % 3)).to_sparse(1)
        params[2].grad = numbers((5, 5), t)
        optimizer.step()
    assert len(noted) == 1
    assert len(looked) == 3


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_decay_set_later_beside_sparse_gradients_is_refused(kernel: dict[str, Any]) -> None:
    p = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, **kernel)
    p.grad = torch.ones(3).to_sparse()
    for _ in range(2):
        optimizer.step()
    before = p.tolist()
    optimizer.param_groups[0]["weight_decay"] = 0.5
    for _ in range(2):
        with pytest.raises(RuntimeError, match="weight_decay is not possible with sparse gradients"):
            optimizer.step()
    assert p.tolist() == before


def test_one_tensor_is_the_lr_of_many_groups_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    params = [Parameter(torch.ones(3)) for _ in range(4)]
    lr, other = torch.tensor(0.5), torch.tensor(0.25)
    groups: list[dict[str, Any]] = [{"params": [p]} for p in params]
    groups[2]["lr"] = other
    optimizer = surefoot.SGD(groups, lr=lr)
    reads: list[Any] = []
    real = torch.Tensor.item
    want = [1.0] * 4
    for t in range(4):
        for p in params:
            p.grad = torch.ones(3)
        lr.fill_(0.5 / 2**t)
        if t == 3:
            optimizer.param_groups[3]["lr"] = torch.tensor([1.0])
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "item", lambda x: (reads.append(x), real(x))[1])
            optimizer.step()
        want = [w - (0.25 if i == 2 else 1.0 if t == i == 3 else lr.item()) for i, w in enumerate(want)]
        assert [p[0].item() for p in params] == want
        assert t == 0 or len(reads) == (2 if t < 3 else 3)
        reads.clear()
