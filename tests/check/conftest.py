"""Optimizers loaded from files put their folders on sys.path, as python itself does; tests give it back."""

from __future__ import annotations

import sys

import pytest
import torch

from surefoot.check.arithmetic.shrink import shrink


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(autouse=True)
def _shrunk_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: what is printed must not go by it."""
    assert shrink.__kwdefaults__ is not None
    monkeypatch.setitem(shrink.__kwdefaults__, "seconds", 100.0)


@pytest.fixture(scope="session")
def fused_leaves_16_bits() -> bool:
    """Whether torch's fused SGD leaves whole vectors of 16 bits as they were, as up to torch 2.13."""
    w = torch.ones(100, dtype=torch.bfloat16, requires_grad=True)
    w.grad = torch.ones_like(w)
    torch.optim.SGD([w], lr=0.5, momentum=0.5, fused=True).step()
    return not torch.equal(w, torch.full_like(w, 0.5))
