"""State that cannot be stepped by is refused before anything is changed, or put into a form that can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import surefoot

KERNELS: list[dict[str, Any]] = [{}, {"foreach": True}, {"foreach": False}]
DECAY: dict[str, Any] = {"weight_decay": 0.5, "decoupled_weight_decay": True}


def stepped(**options: Any) -> tuple[Parameter, surefoot.SGD]:
    p = Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, **options)
    optimizer.step()
    return p, optimizer


SPOILT: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "int64": (
        lambda b: b.long(),
        "momentum buffer has dtype torch.int64, which does not fit .* torch.float32",
    ),
    "complex": (lambda b: b + 0j, "momentum buffer has dtype torch.complex64, which does not fit"),
    "float8": (lambda b: b.to(torch.float8_e4m3fn), ": torch has no arithmetic for torch.float8_e4m3fn$"),
    "one number": (
        lambda b: b[0].clone(),
        r"momentum buffer has shape \(\), but its parameter has shape \(3,\)",
    ),
    "meta": (lambda b: b.to("meta"), "the momentum buffer is on meta, but its parameter is on cpu"),
    "a list": (lambda b: b.tolist(), "the momentum buffer .* is a list, not a tensor"),
}


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("what", SPOILT)
def test_a_buffer_that_does_not_fit_changes_nothing(what: str, kernel: dict[str, Any]) -> None:
    p, optimizer = stepped(**DECAY, **kernel)
    spoil, said = SPOILT[what]
    other = Parameter(torch.ones(2))
    other.grad = torch.ones(2)
    optimizer.add_param_group({"params": [other]})
    optimizer.state[p]["momentum_buffer"] = spoil(optimizer.state[p]["momentum_buffer"])
    before = p.tolist()
    for _ in range(2):
        with pytest.raises((RuntimeError, TypeError), match=said):
            optimizer.step()
    assert p.tolist() == before
    assert other.tolist() == [1.0, 1.0]
    assert other not in optimizer.state


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_an_expanded_buffer_is_given_memory(kernel: dict[str, Any]) -> None:
    p, optimizer = stepped(**DECAY, **kernel)
    q, twin = stepped(**DECAY, **kernel)
    optimizer.state[p]["momentum_buffer"] = torch.ones(1).expand(3)
    for x, each in ((p, optimizer), (q, twin)):
        x.grad = torch.tensor([1.0, 2.0, 3.0])
        each.step()
    assert torch.equal(p, q)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_an_expanded_parameter_changes_nothing(kernel: dict[str, Any]) -> None:
    p, optimizer = stepped(**DECAY, **kernel)
    p.data = torch.ones(1).expand(3)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"refers to a single memory location: .* \(3,\) is expanded"):
            optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0] * 3


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_buffers_made_in_inference_mode_go_on_outside(kernel: dict[str, Any]) -> None:
    ends = []
    for mode in (True, False):
        p = Parameter(torch.ones(3))
        p.grad = torch.ones(3)
        optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, **DECAY, **kernel)
        with torch.inference_mode(mode):
            for _ in range(3):
                optimizer.step()
        for _ in range(2):
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(*ends)


def test_a_buffer_as_narrow_as_its_gradient_goes_on() -> None:
    """As torch keeps it, where the gradient is broadcast."""
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        p = Parameter(torch.ones(3))
        p.grad = torch.ones(3)
        p.grad.data = torch.ones(1)
        optimizer = make([p], lr=0.5, momentum=0.5)
        optimizer.state[p]["momentum_buffer"] = torch.ones(1)
        for _ in range(2):
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(*ends)


def test_a_gradient_that_cannot_be_added_changes_nothing() -> None:
    p, optimizer = stepped(**DECAY)
    before = p.tolist()
    p.grad.data = torch.ones(3, dtype=torch.complex64)  # type: ignore[union-attr]
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"gradient has dtype torch.complex64, which does not fit"):
            optimizer.step()
    assert p.tolist() == before
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0] * 3
