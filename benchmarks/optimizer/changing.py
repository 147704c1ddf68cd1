"""Time steps whose gradients are not those of the step before: surefoot.SGD beside torch.optim.SGD's default.

    python benchmarks/optimizer/changing.py [--steps 200] [--apart] [--schedule] [--first]

Both step the same gradients in turns, in one process, on one thread; the table gives medians of the thread's
processor time, so that a machine which others use may be asked, too.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

import surefoot

Set = Callable[[list[Parameter], list[Tensor], int], None]


def the_same(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    for p, g in zip(params, grads, strict=True):
        p.grad = g


def a_random_third(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    draw = random.Random(t)
    for p, g in zip(params, grads, strict=True):
        p.grad = g if draw.random() < 0.3 else None


def two_halves_in_turns(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        p.grad = g if (2 * i < len(params)) == (t % 2 == 0) else None


def all_but_one_every_other_time(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    the_same(params, grads, t)
    if t % 2:
        params[0].grad = None


def one_of_them_sparse(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    the_same(params, grads, t)
    params[0].grad = grads[0].to_sparse(1)


def all_of_them_sparse(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    """In one row, as of an embedding."""
    for p, g in zip(params, grads, strict=True):
        p.grad = torch.sparse_coo_tensor([[t % len(g)]], g[:1], g.shape, check_invariants=False)


def one_tensor_for_all(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    for p in params:
        p.grad = grads[0]


def requires_grad_toggled(params: list[Parameter], grads: list[Tensor], t: int) -> None:
    the_same(params, grads, t)
    params[0].requires_grad_(t % 2 == 0)


CASES: list[Set] = [
    the_same, a_random_third, two_halves_in_turns, all_but_one_every_other_time, one_of_them_sparse,
    all_of_them_sparse, one_tensor_for_all, requires_grad_toggled,
]  # fmt: skip


def timed(set_grads: Set, momentum: float, given: argparse.Namespace) -> tuple[float, float]:
    """Microseconds of a step: surefoot's, torch's."""
    generator = torch.Generator().manual_seed(0)
    starts, grads = ([torch.randn(32, 32, generator=generator) for _ in range(given.count)] for _ in range(2))
    runs: list[tuple[list[Parameter], Any, list[float]]] = []
    for make in (surefoot.SGD, torch.optim.SGD):
        params = [Parameter(start.clone()) for start in starts]
        groups: Any = [{"params": [p]} for p in params] if given.apart else params
        runs.append((params, make(groups, lr=0.01, momentum=momentum), []))
    for t in range(given.steps + 20):
        for params, optimizer, times in runs:
            set_grads(params, grads, t)
            if given.schedule:
                for group in optimizer.param_groups:
                    group["lr"] = 0.01 / (t + 1)
            if given.first:
                optimizer.state.clear()
            began = time.thread_time()
            optimizer.step()
            times.append(time.thread_time() - began)
    ours, theirs = (1e6 * statistics.median(times[20:]) for _, _, times in runs)
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--count", type=int, default=100, help="parameters, of 32 × 32")
    parser.add_argument("--apart", action="store_true", help="each parameter in a group of its own")
    parser.add_argument("--schedule", action="store_true", help="another lr at each step")
    parser.add_argument("--first", action="store_true", help="each step is the first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| gradients | momentum | surefoot | torch default | surefoot ÷ torch |\n|---|---|---|---|---|")
    for set_grads in CASES:
        for momentum in (0.9, 0.0):
            ours, theirs = timed(set_grads, momentum, given)
            name = set_grads.__name__.replace("_", " ")
            print(f"| {name} | {momentum:g} | {ours:,.0f} µs | {theirs:,.0f} µs | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
