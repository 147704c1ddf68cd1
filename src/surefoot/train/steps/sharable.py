"""How many threads of the CPU a run takes, and what they may share: work whose bits do not depend on them."""

from __future__ import annotations

import copy
import itertools
import os
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.optim import SGD
from surefoot.train import modes
from surefoot.train.config import Config
from surefoot.train.imports import STRICT, x86
from surefoot.train.objective.losses import LOSSES
from surefoot.train.objective.objective import Objective, evaluate
from surefoot.train.randomness import unmoved
from surefoot.train.rows.batch import Feed
from surefoot.train.rows.inputs import Inputs
from surefoot.train.span import Span
from surefoot.train.steps.engine import Job, Step
from surefoot.train.steps.mean import NO_MEAN
from surefoot.train.steps.products import divider
from surefoot.train.steps.shared import Pace, Shared, Way
from surefoot.train.steps.threads import kept, small

__all__ = ["Choice", "chosen", "evaluations", "expected", "plain", "shared"]

# What adds numbers up in products of matrices alone, where MKL is asked for the same bits, or by one thread:
# torch does so with fewer than 32,768 numbers, and a compiled loop with fewer than 4,096 for each thread.
_PLAIN = (
    nn.Sequential, nn.Flatten, nn.Linear, nn.Dropout, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU,
    nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus,
)  # fmt: skip
_ADDED, _ADDED_COMPILED = 32_768, 2 * 4_096
_ELEMENTWISE = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")

_CLEARLY = 0.9  # of one thread's time: several that need less in a single trial take the first steps


class Choice(NamedTuple):
    """The threads of a run.

    Args:
        threads: that torch is set to.
        most: up to how many may share a step that one could take.
        small: whether steps are so small that one may be the fastest.
        evaluates: whether that is so but for the evaluations among them, which as many may share.
    """

    threads: int
    most: int
    small: bool
    evaluates: bool = False


def chosen(
    config: Config,
    model: nn.Module,
    optimizer: Optimizer,
    x: Inputs | None,
    rows: int,
    valid: int,
    *,
    own: bool,
    tried: bool = True,
) -> Choice:
    """The threads of a run: as many as its options say, one for small steps, or what torch has been set to.

    Args:
        config: the options.
        model: to be trained.
        optimizer: that steps.
        x: an input or some, as the model gets them, where the run computes; None where none is at hand.
        rows: to train on, in an epoch.
        valid: rows to validate on.
        own: whether the loss is one of surefoot's own, in float32.
        tried: whether evaluations may be made for a trial: their metric is none of the user's.
    """
    now = torch.get_num_threads()
    if config.threads is not None or x is None or x.device.type != "cpu":
        return Choice(config.threads or now, 1, False)
    every = Span.parse(config.validate_every).steps(-(-rows // config.batch_size))
    part = max(1, min(config.batch_size, rows) // config.accumulate)
    most = now if own and plain(model, optimizer, config.batch_size, config.clip) else 1
    if small(model, x[:1], part, valid / every):
        return Choice(1, most, True)
    if most > 1 and tried and small(model, x[:1], part):
        return Choice(1, most, True, evaluates=True)
    return Choice(now, 1, False)


def shared(
    make: Callable[[Job], Step],
    job: Job,
    batch: tuple[Tensor, Tensor] | None,
    tries: int = 2,
    rest: int = 0,
    program: bool = False,
) -> Step:
    """The step by as many threads as are fastest, where no bit of its result goes by that; else by one.

    Args:
        make: gives the step.
        job: what it does.
        batch: a full batch, as an example; None where there is none before training.
        tries: how many steps to try it for.
        rest: rows in an epoch's last batch, if it is a shorter one: its products may be parted otherwise.
        program: whether the steps are compiled, and go through no backward of torch's.
    """
    step = make(job)
    if batch is None or not _sharable(job, len(batch[0])):
        return step
    counts = [*itertools.takewhile(lambda n: n < job.most, (2**k for k in itertools.count())), job.most]
    x, y = batch
    # random numbers: zeros and equal ones can hide that sums are formed in another order
    with unmoved():
        torch.manual_seed(0)
        drawn = torch.randn(tries, *x.shape, dtype=x.dtype)
    batches = [(given, y) for given in drawn] + [(drawn[0, :rest], y[:rest])] * (rest > 0)
    ways = [Way(count) for count in counts]
    trials = [_tried(make, job, batches, way) for way in ways]
    if not all(trial.same(trials[0]) for trial in trials):
        return step
    # for more threads than two a product may have too few rows; nor was it measured
    if job.most == 2 and divider() is not None and not program:
        way = Way(2, rows=True)
        trial = _tried(make, job, batches, way)
        if trial.same(trials[0]):
            ways.insert(1, way)
            trials.insert(1, trial)
    fastest = min(range(len(ways)), key=lambda at: trials[at].seconds)
    clearly = trials[fastest].seconds < _CLEARLY * trials[0].seconds
    return Shared(step, Pace(ways, fastest if clearly else 0))


def evaluations(model: nn.Module, valid: Feed | None, objective: Objective, most: int) -> Pace | None:
    """By how many threads evaluations are made: as many as are fastest, where no bit of them depends on it.

    Args:
        model: that is evaluated.
        valid: rows to validate on.
        objective: what is measured.
        most: threads.

    Returns:
        None where one thread makes them: where several would give others, or nothing is at hand to try it on.
    """
    if most == 1 or valid is None or valid.first is None:
        return None
    outputs = [module.out_features for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    if -(-valid.rows // valid.steps) * sum(outputs) >= _ADDED:  # the mean of squared errors adds all up
        return None
    found: list[tuple[Tensor, float]] = []
    with unmoved(), kept():
        torch.manual_seed(0)
        tried = copy.deepcopy(model)
        for p in tried.parameters():  # as after steps: zeros hide that sums are formed in another order
            nn.init.normal_(p)
        for count in (1, 1, most, most):  # the first of a number wakes the threads, and is not timed
            torch.set_num_threads(count)
            began = time.perf_counter()
            found.append((evaluate(tried, valid.epoch(1), objective), time.perf_counter() - began))
    if not all(torch.equal(values, found[0][0]) for values, _ in found):
        return None
    return Pace([Way(1), Way(most)], int(found[3][1] < _CLEARLY * found[1][1]))


def expected(job: Job, rows: int) -> int:
    """By how many threads steps of so many rows are taken if nothing comes between.

    As many as may share them; or torch's number, where they are not shared.
    """
    return job.most if _sharable(job, rows) else torch.get_num_threads()


def _sharable(job: Job, rows: int) -> bool:
    alike = job.loss in LOSSES.values() and job.autocast is None
    return job.most > 1 and alike and plain(job.model, job.optimizer, rows, job.clip)


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


class _Trial(NamedTuple):
    """What came of steps on a copy, and the seconds that they took after the first."""

    results: list[Tensor]
    seconds: float

    def same(self, other: _Trial) -> bool:
        """Whether losses, weights, gradients and state are the same to the bit."""
        return all(torch.equal(a, b) for a, b in zip(self.results, other.results, strict=True))


def _tried(
    make: Callable[[Job], Step], job: Job, batches: Sequence[tuple[Tensor, Tensor]], way: Way
) -> _Trial:
    copy = job.copied()
    modes.train(copy.model)
    with unmoved(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_MEAN)
        torch.manual_seed(0)
        with kept():
            step = make(copy)
            way.begin()
            try:
                losses = [step(*batches[0])]
                began = time.perf_counter()
                losses += [step(*batch) for batch in batches[1:]]
                seconds = time.perf_counter() - began
            finally:
                way.end()
    params = [*copy.model.parameters()]
    state = [t for p in params for t in copy.optimizer.state.get(p, {}).values() if isinstance(t, Tensor)]
    gradients = [p.grad for p in params if p.grad is not None]
    return _Trial([*losses, *params, *gradients, *state], seconds)
