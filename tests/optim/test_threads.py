"""One thread for a moment, and the rest of the process knows nothing of it."""

from __future__ import annotations

import threading

import pytest
import torch

import surefoot
from surefoot.optim import kernels, threads


def born_now() -> int:
    """By how many threads a thread that is born now works."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


def test_it_is_set_for_this_thread_alone() -> None:
    before = torch.get_num_threads()
    born_now()
    try:
        threads.set_threads(before + 1)
        assert torch.get_num_threads() == before + 1
        if threads._setter() is not torch.set_num_threads:
            assert born_now() == before
    finally:
        threads.set_threads(before)
    assert torch.get_num_threads() == before


def test_a_thread_born_during_a_step_keeps_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    if threads._setter() is torch.set_num_threads:
        pytest.skip("this torch has no OpenMP of its own")
    params = [torch.nn.Parameter(torch.ones(4)) for _ in range(4)]
    for p in params:
        p.grad = torch.ones(4)
    seen = []
    monkeypatch.setattr(kernels, "fused", lambda *lists: seen.append((torch.get_num_threads(), born_now())))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        surefoot.SGD(params, lr=0.5).step()
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, 2)]


def test_without_openmp_torchs_own_call_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: str) -> None:
        raise OSError

    monkeypatch.setattr("surefoot.optim.threads.ctypes.PyDLL", none)
    threads._setter.cache_clear()
    try:
        assert threads._setter() is torch.set_num_threads
    finally:
        threads._setter.cache_clear()
