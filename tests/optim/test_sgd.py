"""SGD as a user of torch.optim.SGD meets it: groups, schedules, dtypes, layouts, scalers."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import surefoot


def train(make: Any, model: torch.nn.Module, steps: int = 5, **options: Any) -> torch.nn.Module:
    torch.manual_seed(1)
    optimizer = make(model.parameters(), **options)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
    return model


def test_it_takes_the_place_of_torchs() -> None:
    torch.manual_seed(0)
    start = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    for options in (
        {},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True, "maximize": True},
    ):
        theirs = train(torch.optim.SGD, copy.deepcopy(start), **options)
        same = train(surefoot.SGD, copy.deepcopy(start), foreach=False, **options)
        default = train(surefoot.SGD, copy.deepcopy(start), **options)
        for p, q, r in zip(theirs.parameters(), same.parameters(), default.parameters(), strict=True):
            assert torch.equal(p, q)  # bit for bit by the same kernel
            torch.testing.assert_close(p, r, rtol=1e-6, atol=1e-7)


def test_two_groups_are_two_optimizers() -> None:
    first: dict[str, Any] = {"lr": 0.5, "momentum": 0.5, "dampening": 0.25, "weight_decay": 0.5}
    second: dict[str, Any] = {
        "lr": 0.25,
        "momentum": 0.75,
        "nesterov": True,
        "maximize": True,
        "convention": "ema",
    }
    a, b, c, d = (Parameter(torch.ones(5)) for _ in range(4))
    together = surefoot.SGD([{"params": [a], **first}, {"params": [b], **second}])
    apart = [surefoot.SGD([c], **first), surefoot.SGD([d], **second)]
    for i in range(4):
        for p in (a, b, c, d):
            p.grad = torch.full((5,), float(i))
        for optimizer in (together, *apart):
            optimizer.step()
    assert torch.equal(a, c)
    assert torch.equal(b, d)


def test_splitting_a_tensor_changes_nothing() -> None:
    whole = Parameter(torch.arange(10.0))
    parts = [Parameter(torch.arange(3.0)), Parameter(torch.arange(3.0, 10.0))]
    a, b = (surefoot.SGD(ps, lr=0.5, momentum=0.5, dampening=0.5) for ps in ([whole], parts))
    for _ in range(3):
        whole.grad = torch.arange(10.0)
        parts[0].grad, parts[1].grad = torch.arange(3.0), torch.arange(3.0, 10.0)
        a.step()
        b.step()
    assert torch.equal(whole, torch.cat(list(parts)))


def test_named_parameters() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = surefoot.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def schedules(optimizer: Any) -> dict[str, Any]:
    s = torch.optim.lr_scheduler
    return {
        "LambdaLR": lambda: s.LambdaLR(optimizer, lambda t: 1 / (t + 1)),
        "MultiplicativeLR": lambda: s.MultiplicativeLR(optimizer, lambda t: 0.9),
        "StepLR": lambda: s.StepLR(optimizer, 2),
        "MultiStepLR": lambda: s.MultiStepLR(optimizer, [1, 3]),
        "ConstantLR": lambda: s.ConstantLR(optimizer),
        "LinearLR": lambda: s.LinearLR(optimizer),
        "ExponentialLR": lambda: s.ExponentialLR(optimizer, 0.5),
        "PolynomialLR": lambda: s.PolynomialLR(optimizer),
        "CosineAnnealingLR": lambda: s.CosineAnnealingLR(optimizer, 5),
        "CosineAnnealingWarmRestarts": lambda: s.CosineAnnealingWarmRestarts(optimizer, 3),
        "CyclicLR": lambda: s.CyclicLR(optimizer, 0.01, 0.2, step_size_up=2),
        "OneCycleLR": lambda: s.OneCycleLR(optimizer, 0.2, total_steps=10),
        "ReduceLROnPlateau": lambda: s.ReduceLROnPlateau(optimizer, patience=0),
        "ChainedScheduler": lambda: s.ChainedScheduler(
            [s.ConstantLR(optimizer), s.ExponentialLR(optimizer, 0.9)]
        ),
        "SequentialLR": lambda: s.SequentialLR(
            optimizer, [s.ConstantLR(optimizer), s.ExponentialLR(optimizer, 0.9)], milestones=[2]
        ),
        "SWALR": lambda: torch.optim.swa_utils.SWALR(optimizer, 0.05, anneal_epochs=3),
    }


@pytest.mark.parametrize("tensor_lr", [False, True])
@pytest.mark.parametrize("name", schedules(None))
def test_every_schedule(name: str, tensor_lr: bool) -> None:
    results = []
    for make in (torch.optim.SGD, surefoot.SGD):
        w = Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
        lr = torch.tensor(0.1, dtype=torch.float64) if tensor_lr else 0.1
        optimizer = make([w], lr=lr, momentum=0.9, foreach=False)
        schedule = schedules(optimizer)[name]()
        for _ in range(6):
            w.grad = w.detach().clone()
            optimizer.step()
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
        results.append(w.detach())
    assert torch.equal(*results)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128],
    ids=str,
)
@pytest.mark.parametrize(
    "kernel", [{}, {"foreach": False}, {"foreach": True}], ids=["default", "loop", "foreach"]
)
def test_dtypes(dtype: torch.dtype, kernel: dict[str, Any]) -> None:
    """One group of several dtypes; the numbers are exact in all of them."""
    value = 2 - 1j if dtype.is_complex else 2
    params = [Parameter(torch.full((3, 2), value, dtype=dtype)), Parameter(torch.full((3, 2), 2.0))]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, weight_decay=0.5, nesterov=True, **kernel)
    for _ in range(2):
        for p in params:
            p.grad = torch.ones_like(p)
        optimizer.step()

    # d = 1 + w/2, u = d + b/2; of the imaginary part the same with gradient 0
    def by_hand(w: float, g: float) -> float:
        b = 0.0
        for _ in range(2):
            d = g + w / 2
            b = b / 2 + d
            w -= (d + b / 2) / 2
        return w

    expected = complex(by_hand(2, 1), by_hand(-1, 0)) if dtype.is_complex else by_hand(2, 1)
    assert torch.equal(params[0].detach(), torch.full((3, 2), expected, dtype=dtype))
    assert torch.equal(params[1].detach(), torch.full((3, 2), by_hand(2, 1)))
    assert optimizer.state[params[0]]["momentum_buffer"].dtype == dtype


@pytest.mark.parametrize("conjugated", [False, True])
def test_complex_equals_two_reals(conjugated: bool) -> None:
    torch.manual_seed(0)
    z = Parameter(torch.randn(5, dtype=torch.complex128))
    r = Parameter(torch.view_as_real(z.detach()).clone())
    options: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}
    a, b = surefoot.SGD([z], **options), surefoot.SGD([r], **options)
    for _ in range(5):
        g = torch.randn(5, dtype=torch.complex128)
        z.grad = g.conj().resolve_conj().conj() if conjugated else g
        r.grad = torch.view_as_real(g).clone()
        a.step()
        b.step()
    assert torch.equal(torch.view_as_real(z.detach()), r.detach())


def layouts() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {
        "0-dim": (torch.tensor(2.0), torch.tensor(1.0)),
        "empty": (torch.ones(0, 3), torch.ones(0, 3)),
        "every other column": (torch.full((4, 6), 2.0)[:, ::2], torch.ones(4, 3)),
        "transposed": (torch.full((4, 6), 2.0).t(), torch.ones(6, 4)),
        "channels last": (
            torch.full((2, 3, 4, 5), 2.0).to(memory_format=torch.channels_last),
            torch.ones(2, 3, 4, 5),
        ),
        "expanded gradient": (torch.full((4, 6), 2.0), torch.ones(1).expand(4, 6)),
        "negated gradient": (torch.full((4,), 2.0), torch._neg_view(torch.full((4,), -1.0))),
    }


@pytest.mark.parametrize("kernel", [{}, {"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize("name", layouts())
def test_layouts(name: str, kernel: dict[str, Any]) -> None:
    start, grad = layouts()[name]
    w, other = Parameter(start), Parameter(torch.full((3,), 2.0))
    stride, pointer = w.stride(), w.data_ptr()
    optimizer = surefoot.SGD([w, other], lr=0.5, momentum=0.5, **kernel)
    for _ in range(2):
        w.grad, other.grad = grad, torch.ones(3)
        version = w._version
        optimizer.step()
        assert w._version > version
    assert torch.equal(w.detach(), torch.full_like(w, 2 - 0.5 - 0.75))
    assert torch.equal(other.detach(), torch.full((3,), 0.75))
    assert (w.stride(), w.data_ptr()) == (stride, pointer)


SPARSE: list[dict[str, Any]] = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.5, "nesterov": True, "maximize": True},
    {"momentum": 0.5, "convention": "keras"},
    {"momentum": 0.5, "kahan": True},
    {"momentum": 0.5, "state_dtype": torch.float64},
    {"weight_decay": 0.5, "decoupled_weight_decay": True},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
@pytest.mark.parametrize("options", SPARSE, ids=str)
def test_sparse_equals_dense(options: dict[str, Any], dtype: torch.dtype) -> None:
    results = []
    for sparse in (True, False):
        table = Parameter(torch.ones(6, 3, dtype=dtype))
        optimizer = surefoot.SGD([table], lr=0.5, **options)
        for rows in ([1, 1, 2], [2, 5], [0]):  # a row that comes twice counts twice
            g = torch.sparse_coo_tensor(
                torch.tensor([rows]), torch.ones(len(rows), 3, dtype=dtype), (6, 3), check_invariants=False
            )
            table.grad = g if sparse else g.to_dense()
            optimizer.step()
        results.append(table.detach())
    assert torch.equal(*results)


def test_sparse_gradients_cannot_carry_coupled_decay() -> None:
    table = torch.nn.Embedding(6, 3, sparse=True)
    optimizer = surefoot.SGD(table.parameters(), lr=0.5, weight_decay=0.1)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="weight_decay is not possible with sparse gradients"):
        optimizer.step()


@pytest.mark.parametrize("fused", [None, True])
def test_grad_scaler(fused: bool | None) -> None:
    """Same parameters as without a scaler; an overflow skips the step, also the first."""
    w, plain = Parameter(torch.ones(20)), Parameter(torch.ones(20))
    optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5, dampening=0.25, fused=fused)
    reference = surefoot.SGD([plain], lr=0.5, momentum=0.5, dampening=0.25)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for overflow in (True, False, False, True, False):
        optimizer.zero_grad()
        scaler.scale((w**2).sum() * (math.inf if overflow else 1)).backward()
        scaler.step(optimizer)
        scaler.update()
        if not overflow:
            reference.zero_grad()
            (plain**2).sum().backward()
            reference.step()
        assert torch.equal(w, plain)
        assert bool(optimizer.state) == bool(reference.state)


def test_grad_scaler_after_clipping() -> None:
    """After unscale_ the scaler passes found_inf alone."""
    w = Parameter(torch.ones(4))
    optimizer = surefoot.SGD([w], lr=0.5, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for loss, expected in (((w * math.inf).sum(), 1.0), ((w * 2).sum(), 0.75)):
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_([w], 1.0)
        scaler.step(optimizer)
        scaler.update()
        torch.testing.assert_close(w.detach(), torch.full((4,), expected))


def test_capturable_keeps_lr_on_the_device() -> None:
    """Lr is a tensor that schedules fill, and no step reads it back."""
    w, v = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    a = surefoot.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.5, capturable=True)
    b = surefoot.SGD([v], lr=0.5, momentum=0.5, weight_decay=0.5)
    schedules = [torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in (a, b)]
    lr = a.param_groups[0]["lr"]
    for _ in range(3):
        for p, optimizer, schedule in zip((w, v), (a, b), schedules, strict=True):
            p.grad = torch.ones(4)
            optimizer.step()
            schedule.step()
    assert a.param_groups[0]["lr"] is lr
    assert torch.equal(w, v)


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("convention", ["torch", "keras", "ema"])
def test_capturable_reads_nothing_back(foreach: bool, convention: Any) -> None:
    """Reading a number out of a fake tensor is an error, as it is while a CUDA graph is captured."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        w = Parameter(torch.ones(4))
        w.grad = torch.ones(4)
        optimizer = surefoot.SGD(
            [w], lr=0.5, momentum=0.5, weight_decay=torch.tensor(0.5), capturable=True, foreach=foreach,
            nesterov=True, convention=convention, kahan=True,
        )  # fmt: skip
        for decoupled in (False, True):
            optimizer.param_groups[0]["decoupled_weight_decay"] = decoupled
            optimizer.step()


def test_functional_call_and_in_place_updates() -> None:
    """Views and aliases of the parameters see every step."""
    model = torch.nn.Linear(3, 1)
    alias = model.weight.detach()
    params = dict(model.named_parameters())
    optimizer = surefoot.SGD(params.values(), lr=0.1)
    torch.func.functional_call(model, params, (torch.ones(2, 3),)).sum().backward()
    optimizer.step()
    assert torch.equal(alias, model.weight)


def test_a_gradient_tensor_that_is_used_again() -> None:
    """The buffer is no alias of the gradient, so overwriting the gradient does not reach it."""
    w, g = Parameter(torch.ones(3)), torch.ones(3)
    optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5)
    w.grad = g
    optimizer.step()
    g.fill_(7.0)
    assert torch.equal(optimizer.state[w]["momentum_buffer"], torch.ones(3))


def test_nan_and_inf_are_not_hidden() -> None:
    w = Parameter(torch.ones(3))
    w.grad = torch.tensor([math.nan, math.inf, 1.0])
    surefoot.SGD([w], lr=0.5, momentum=0.5).step()
    assert w.isnan().tolist() == [True, False, False]
    assert w[1] == -math.inf


def test_no_gradient_no_change_no_state() -> None:
    w = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(w, torch.ones(3))
    assert not optimizer.state


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "options", [{}, {"foreach": True}, {"convention": "keras"}, {"decoupled_weight_decay": True}], ids=str
)
def test_a_captured_graph_follows_the_schedule(options: dict[str, Any]) -> None:
    w, v = (Parameter(torch.ones(1000, device="cuda")) for _ in range(2))
    shared: dict[str, Any] = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.5, **options}
    a, b = surefoot.SGD([w], capturable=True, **shared), surefoot.SGD([v], **shared)
    w.grad, v.grad = torch.ones_like(w), torch.ones_like(v)
    a.step()
    b.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        a.step()
    for lr in (0.5, 0.25):
        a.param_groups[0]["lr"].fill_(lr)
        b.param_groups[0]["lr"] = lr
        graph.replay()
        b.step()
    torch.testing.assert_close(w, v)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_cuda_agrees_with_the_cpu(dtype: torch.dtype) -> None:
    for kernel in ({}, {"foreach": True}, {"foreach": False}, {"fused": True}):
        values = []
        for device in ("cpu", "cuda"):
            w = Parameter(torch.linspace(-1, 1, 1001, dtype=dtype, device=device))
            optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.25, nesterov=True, **kernel)
            for _ in range(4):
                w.grad = w.detach().clone()
                optimizer.step()
            values.append(w.detach().cpu())
        torch.testing.assert_close(*values)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_several_devices_in_one_group() -> None:
    params = [Parameter(torch.ones(5, device=device)) for device in ("cpu", "cuda")]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert torch.equal(params[0], params[1].cpu())
