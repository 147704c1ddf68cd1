"""A stand-in for CUDA graphs on the CPU: operations are recorded with their tensors, and done again.

As in a CUDA graph, numbers are frozen, tensors keep their places, reading a value back is an error, and
random numbers go on. What it cannot show: streams, memory pools, what CUDA's own libraries refuse.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

REFUSAL = "CUDA error: operation not permitted when stream is capturing"


class Graph(TorchDispatchMode):
    """torch.cuda.CUDAGraph, in as far as it is used."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError(f"{REFUSAL}\nand more lines of advice")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, result in self.calls:
            given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if is_tensor(t)}
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if is_tensor(old) and old.untyped_storage().data_ptr() not in given:  # no view, not in place
                    old.copy_(new)


def is_tensor(thing):
    return isinstance(thing, torch.Tensor)


class Stream:
    def __init__(self, device=None):
        self.device = device

    def wait_stream(self, other):
        assert isinstance(other, Stream)


@contextmanager
def graph(recorded, stream=None):
    """torch.cuda.graph."""
    with recorded:
        yield


def stand_in(monkeypatch):
    """Let torch.cuda's graphs be these."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
