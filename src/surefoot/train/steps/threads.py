"""Threads of the CPU: which steps one may be enough for, and what torch is set to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from surefoot.optim.threads import set_threads
from surefoot.train.looks.passing import passed
from surefoot.train.rows.inputs import Inputs

__all__ = ["AT_FIRST", "by", "kept", "small"]

AT_FIRST = torch.get_num_threads()  # what torch chose, or the user by OMP_NUM_THREADS

# floating point operations of a step; below, threads may wait for each other more than they work
_WORTH_SHARING = 1e8


def small(model: nn.Module, x: Inputs, batch_size: int, validated: float = 0) -> bool:
    """Whether a step is so small that one thread may be the fastest: unless its matrix products are large.

    A count, not a measurement: results of others depend on the number of threads, so one seed must always get
    the same.

    Args:
        model: to be trained, on the CPU.
        x: one input, as a batch of one.
        batch_size: rows in a step.
        validated: rows that validation goes through for each step, on average.
    """
    work = 0
    counted: set[Tensor] = set()

    def count(module: nn.Module, output: Any) -> None:
        nonlocal work
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            work += 2 * output.numel() * weight[0].numel()
            counted.add(weight)

    if not passed(model, x, count):
        return False
    # what cannot be counted keeps torch's choice, as a matrix of which no layer's output tells
    if any(p.ndim > 1 and p not in counted for p in model.parameters()):
        return False
    # forward once, backward twice as much
    return 0 < work * (3 * batch_size + validated) < _WORTH_SHARING


@contextmanager
def kept() -> Iterator[None]:
    """Whatever happens inside, torch's number of threads is afterwards what it is now.

    It is one of the whole process, which each thread of Python takes over when it first asks, and keeps: one
    that began during another's training has that one's.
    """
    own, whole = torch.get_num_threads(), _whole()
    try:
        yield
    finally:
        torch.set_num_threads(whole)
        if own != whole:
            set_threads(own)


def _whole() -> int:
    """The process's number, which a new thread has."""
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    asking.start()
    asking.join()
    return found[0]


@contextmanager
def by(count: int) -> Iterator[None]:
    """Work by so many threads inside `with`."""
    with kept():
        torch.set_num_threads(count)
        yield
