"""A step that is captured: nothing is read back; and, where there is a GPU, its numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

import surefoot


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


def test_capturable_brings_its_numbers_to_the_parameters() -> None:
    """A captured graph could not fetch them from another device."""
    w = Parameter(torch.ones(4, device="meta"))
    optimizer = surefoot.SGD([w], torch.tensor(0.5), weight_decay=torch.tensor(0.25), capturable=True)
    group = optimizer.param_groups[0]
    assert (group["lr"].device.type, group["weight_decay"].device.type) == ("meta", "meta")


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
def test_one_learning_rate_for_several_devices(kernel: dict[str, Any]) -> None:
    """A tensor lr follows each parameter to its device; fake tensors stand in for an accelerator."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        params = [Parameter(torch.ones(5, device=device)) for device in ("cpu", "meta")]
        for p in params:
            p.grad = torch.ones_like(p)
        lr, decay = torch.tensor(0.5), torch.tensor(0.25)
        optimizer = surefoot.SGD(params, lr, 0.5, weight_decay=decay, capturable=True, **kernel)
        optimizer.step()
        assert [optimizer.state[p]["momentum_buffer"].device.type for p in params] == ["cpu", "meta"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [{}, {"capturable": True}, {"lr": torch.tensor(0.5)}], ids=str)
def test_several_devices_in_one_group(options: dict[str, Any]) -> None:
    params = [Parameter(torch.ones(5, device=device)) for device in ("cpu", "cuda")]
    optimizer = surefoot.SGD(params, **{"lr": 0.5, "momentum": 0.5, **options})
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert torch.equal(params[0], params[1].cpu())
