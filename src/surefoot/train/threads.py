"""Which training steps threads of the CPU may share: small ones, if no bit of them goes by their number."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.optim import SGD
from surefoot.train import modes
from surefoot.train.engine import NO_MEAN, Job, Step
from surefoot.train.given import looked_at
from surefoot.train.imports import STRICT, x86
from surefoot.train.losses import LOSSES
from surefoot.train.randomness import unmoved
from surefoot.train.shared import Shared

__all__ = ["AT_FIRST", "by", "plain", "shared", "small", "up_to"]

AT_FIRST = torch.get_num_threads()  # what torch chose, or the user by OMP_NUM_THREADS

# floating point operations of a step; below, threads may wait for each other more than they work
_WORTH_SHARING = 1e8

# What adds numbers up in products of matrices alone, where MKL is asked for the same bits, or by one thread:
# torch does so with fewer than 32,768 numbers, and a compiled loop with fewer than 4,096 for each thread.
_PLAIN = (
    nn.Sequential, nn.Flatten, nn.Linear, nn.Dropout, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU,
    nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus,
)  # fmt: skip
_ADDED, _ADDED_COMPILED = 32_768, 2 * 4_096
_ELEMENTWISE = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")

_most = 1


def small(model: nn.Module, shape: Sequence[int], batch_size: int, validated: float = 0) -> bool:
    """Whether a step is so small that one thread may be the fastest: unless its matrix products are large.

    A count, not a measurement: results of others depend on the number of threads, so one seed must always get
    the same.

    Args:
        model: to be trained, on the CPU.
        shape: the shape of one input.
        batch_size: rows in a step.
        validated: rows that validation goes through for each step, on average.
    """
    work = 0

    def count(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal work
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            work += 2 * output.numel() * weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    x = torch.zeros(1, *shape)
    try:
        with looked_at(model, x.device):
            model(x)
    except Exception:  # what is wrong with the model will show when it trains
        work = 0
    finally:
        for hook in hooks:
            hook.remove()
    # forward once, backward twice as much; a model that cannot be counted keeps torch's choice
    return 0 < work * (3 * batch_size + validated) < _WORTH_SHARING


@contextmanager
def by(count: int) -> Iterator[None]:
    """Work by so many threads inside `with`."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def up_to(most: int) -> Iterator[None]:
    """Let steps that `shared` is given inside `with` use up to so many threads."""
    global _most
    before, _most = _most, most
    try:
        yield
    finally:
        _most = before


def shared(
    make: Callable[[Job], Step],
    job: Job,
    batch: tuple[Tensor, Tensor] | None,
    tries: int = 2,
    rest: int = 0,
) -> Step:
    """The step by as many threads as are fastest, where no bit of its result goes by that; else by one.

    Args:
        make: gives the step.
        job: what it does.
        batch: a full batch, as an example; None where there is none before training.
        tries: how many steps to try it for.
        rest: rows in an epoch's last batch, if it is a shorter one: its products may be parted otherwise.
    """
    step = make(job)
    rows = 0 if batch is None else len(batch[0])
    alike = job.loss in LOSSES.values() and job.autocast is None
    if _most == 1 or batch is None or not alike or not plain(job.model, job.optimizer, rows, job.clip):
        return step
    counts = [*itertools.takewhile(lambda n: n < _most, (2**k for k in itertools.count())), _most]
    x, y = batch
    # random numbers: zeros and equal ones can hide that sums are formed in another order
    with unmoved():
        torch.manual_seed(0)
        drawn = torch.randn(tries, *x.shape, dtype=x.dtype)
    batches = [(given, y) for given in drawn] + [(drawn[0, :rest], y[:rest])] * (rest > 0)
    results = [_result(make, job, batches, count) for count in counts]
    same = all(torch.equal(a, b) for r in results[1:] for a, b in zip(results[0], r, strict=True))
    return Shared(step, counts) if same else step


def plain(model: nn.Module, optimizer: Optimizer, rows: int, clip: float | None) -> bool:
    """Whether nothing in a step of so many rows can go by the number of threads, as far as is known."""
    modules = [*model.modules()]
    given = [module.out_features for module in modules if isinstance(module, nn.Linear)]
    own = all(type(module) in _PLAIN for module in modules) and bool(given)
    # elsewhere, or by another library, the same request means nothing
    asked = os.environ.get("MKL_CBWR") == STRICT and x86() and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    if not own or clip is not None or not asked:
        return False
    kind = type(optimizer)
    known = kind is SGD or kind in (getattr(torch.optim, name) for name in _ELEMENTWISE)
    return known and rows * max(given) < _ADDED and rows * given[-1] < _ADDED_COMPILED


def _result(
    make: Callable[[Job], Step], job: Job, batches: Sequence[tuple[Tensor, Tensor]], count: int
) -> list[Tensor]:
    """Losses, weights, gradients and state after steps on a copy by so many threads."""
    copy = job.copied()
    modes.train(copy.model)
    with unmoved(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_MEAN)
        torch.manual_seed(0)
        with by(count):
            step = make(copy)
            losses = [step(*batch) for batch in batches]
    params = [*copy.model.parameters()]
    state = [t for p in params for t in copy.optimizer.state.get(p, {}).values() if isinstance(t, Tensor)]
    return [*losses, *params, *(p.grad for p in params if p.grad is not None), *state]
