"""SGD as a user of torch.optim.SGD meets it: groups, schedules, scalers, aliases."""

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


@pytest.mark.filterwarnings(
    "ignore:The epoch parameter in `scheduler.step:UserWarning"
)  # SequentialLR's, torch 2.6
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


def test_grad_scaler_is_not_undone_in_16_bits() -> None:
    """A gradient of 1e-8 is 0 in float16, and the scale is there to save it."""
    p = Parameter(torch.zeros(3, dtype=torch.float16))
    optimizer = surefoot.SGD([p], lr=1000.0, momentum=0.9, fused=True, state_dtype=torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    for _ in range(3):
        scaler.scale(torch.zeros(()))
        p.grad = torch.full((3,), 1e-8 * 65536, dtype=torch.float16)
        scaler.step(optimizer)
        scaler.update()
    expected = torch.full((3,), 1e-8 * (1 + 1.9 + 2.71) * 1000)
    torch.testing.assert_close(-p.detach().float(), expected, rtol=4e-3, atol=0)


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


def test_no_momentum_no_state() -> None:
    w = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([w], lr=0.5)
    for _ in range(2):
        w.grad = torch.ones(3)
        optimizer.step()
    assert not optimizer.state


def test_no_gradient_no_change_no_state() -> None:
    w = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(w, torch.ones(3))
    assert not optimizer.state
