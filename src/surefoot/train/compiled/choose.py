"""Which engine runs: whether a step can be compiled, whether that pays, and whether the program is right."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from surefoot.optim import SGD
from surefoot.train.compiled import package
from surefoot.train.compiled.engine import Grouped
from surefoot.train.compiled.step import CompiledSteps

__all__ = ["compiled", "hint", "obstacle", "steps_at_once"]

# On two cores the default job's compiled step took 0.5 to 0.6 of the eager one, compiling took 15 to 30 s
# (benchmarks/README.md). Estimates are made with the careful ends.
SAVING, COMPILING = 0.4, 30.0

Eager = Callable[[nn.Module, SGD], Callable[[Tensor, Tensor], Tensor]]


def steps_at_once(validate_every: int) -> int:
    """K: 5, or a divisor where validation comes so often that few groups of 5 would fit between."""
    return 5 if validate_every >= 20 else max(k for k in range(1, 6) if validate_every % k == 0)


def obstacle(optimizer: Optimizer, x: Tensor, *, autocast: bool) -> str | None:
    """Why this step can't be compiled, as the end of a sentence; None if nothing is in the way."""
    if type(optimizer) is not SGD:
        return f"its optimizer is {type(optimizer).__name__}, not surefoot.SGD"
    if autocast:
        return "it runs under autocast"
    if x.device.type != "cpu":
        return f"it runs on {x.device.type}"
    for group in optimizer.param_groups:
        if group["convention"] != "torch":
            return f"its optimizer follows convention={group['convention']!r}"
        for option in ("kahan", "state_dtype", "differentiable", "capturable"):
            if group[option]:
                return f"its optimizer has {option}={group[option]!r}"
    return None


def compiled(
    model: nn.Module,
    loss: Callable[[Any, Tensor], Tensor],
    optimizer: SGD,
    eager: Eager,
    batch: tuple[Tensor, Tensor],
    *,
    clip: float | None,
    k: int,
    steps: int,
    mode: str,
    say: Callable[[str], None],
) -> Grouped | None:
    """The compiled step, or None where the eager one is to run, which is then said once.

    Args:
        model: in training mode.
        loss: from output and targets to a scalar.
        optimizer: over its parameters.
        eager: makes an eager step from a model and its optimizer.
        batch: (inputs, targets) of the usual size, scaled.
        clip: the gradient's largest norm.
        k: steps in a program.
        steps: how many steps the run has left.
        mode: "on" compiles unless a package is there; "auto" does so only when it pays for itself.
        say: takes a line for the user.
    """
    x, y = (t.unsqueeze(0).expand(k, *t.shape).contiguous() for t in batch)
    name = package.key(model, loss, optimizer, x, y, clip)
    found = package.load(name)
    if found is None:
        if mode == "auto":
            seconds = steps * _eager_seconds(model, optimizer, eager, batch)
            if seconds * SAVING < COMPILING:
                return None
        say("Compiling the training step, once for this model and batch size: 15 to 30 s …")
        from surefoot.train.compiled.program import Untraceable, trace

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler deprecates parts of itself
                package.store(trace(model, loss, optimizer, x, y, clip), name)
        except Untraceable as reason:
            say(f"The training step runs eagerly: {reason}.")
            return None
        except Exception as error:  # whatever the compiler raises
            warnings.warn(f"The training step could not be compiled and runs eagerly: {error}", stacklevel=2)
            return None
        found = package.load(name)
    if found is None:
        warnings.warn(
            f"The compiled step in {package.folder()} is not ours alone; running eagerly.", stacklevel=2
        )
        return None
    if wrong := _disagreement(model, optimizer, eager, found, x, y):
        warnings.warn(
            f"The compiled step differs from the eager one, which runs instead: {wrong}.", stacklevel=2
        )
        return None

    def attach() -> CompiledSteps | None:
        try:
            return CompiledSteps(model, optimizer, found)
        except KeyError:  # before the first step
            return None

    return Grouped(attach, optimizer, eager(model, optimizer), batch, k)


def hint(seconds_per_step: float, steps: int) -> str | None:
    """What --compile would save in the steps that are left, if it would."""
    saved = seconds_per_step * steps * SAVING - COMPILING
    return f"--compile on would save about {_spoken(saved)} of this run." if saved > COMPILING else None


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _copies(model: nn.Module, optimizer: SGD) -> tuple[nn.Module, SGD]:
    """A copy of both that can take steps without a trace in the originals."""
    return copy.deepcopy((model, optimizer))


def _eager_seconds(model: nn.Module, optimizer: SGD, eager: Eager, batch: tuple[Tensor, Tensor]) -> float:
    """Seconds of one eager step: the smallest of a few, on copies."""
    with torch.random.fork_rng(devices=[]):
        step = eager(*_copies(model, optimizer))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            step(*batch)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def _disagreement(
    model: nn.Module, optimizer: SGD, eager: Eager, found: package.Package, x: Tensor, y: Tensor
) -> str | None:
    """Where K compiled steps part from K eager ones, both on copies; None where they agree."""
    with torch.random.fork_rng(devices=[]):
        model, optimizer = _copies(model, optimizer)
        step = eager(model, optimizer)
        step(x[0], y[0])  # makes the momentum buffers
        hyper = torch.tensor([[g["lr"], g["momentum"]] for g in optimizer.param_groups], dtype=torch.float64)
        ours = CompiledSteps(model, optimizer, found)
        return ours.disagreement(
            lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)]),
            x,
            y,
            hyper.expand(len(x), *hyper.shape).contiguous(),
        )
