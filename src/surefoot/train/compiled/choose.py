"""Which step a run takes: whether it can be compiled, whether that pays, and whether the program is right."""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from surefoot.optim import SGD
from surefoot.train import modes
from surefoot.train.compiled import graph, package
from surefoot.train.compiled.fingerprint import Untold
from surefoot.train.compiled.grouped import Grouped
from surefoot.train.compiled.options import hooked
from surefoot.train.compiled.step import CompiledSteps
from surefoot.train.compiled.verify import on_trial
from surefoot.train.folder.pack import pack
from surefoot.train.folder.saved import copied
from surefoot.train.objective.losses import of_torch, stateful
from surefoot.train.rows.inputs import Inputs
from surefoot.train.steps.engine import Job, Step, eager
from surefoot.train.steps.sharable import shared

__all__ = ["choose", "hint", "obstacle", "steps_at_once"]

# On one thread the default job's compiled step took 0.7 of the eager one, on two cores compiling took 15 to
# 30 s (benchmarks/README.md). Both numbers are the careful ends of these.
SAVING, COMPILING = 0.25, 30.0
LONG = 3000  # steps; in a shorter run it is not worth asking whether compiling would pay
CAPTURING = 100  # steps; trying and capturing a CUDA graph takes about fifteen, with some waiting
_ERROR = re.compile(r"\berror\b( C\d+)?:")  # as clang and gcc, or as Microsoft's compiler writes it
# options of SGD that a program does not know; a CUDA graph is of the optimizer's own step
REFUSED = {"cpu": ("kahan", "state_dtype", "differentiable", "capturable"), "cuda": ("differentiable",)}


def choose(
    mode: str,
    job: Job,
    example: tuple[Inputs, Tensor] | None,
    *,
    every: int,
    last: int,
    rest: int = 0,
    say: Callable[[str], None],
) -> tuple[Step, str]:
    """The step that a run takes from its start to its end, and "on" or "off": whether it is compiled.

    Args:
        mode: "off"; "on"; or "auto", which compiles where a program is at hand or pays for itself. On a GPU
            the step is not compiled, but captured as a CUDA graph.
        job: what the step does.
        example: a full batch (inputs, targets); None where there is none to look at before training.
        every: steps between validations.
        last: steps of the whole run.
        rest: rows in an epoch's last batch, if it is a shorter one.
        say: takes a line for the user: why it is not compiled, or what compiling would save.
    """
    batch = None
    if example is not None and isinstance(example[0], Tensor):
        batch = example[0], example[1]
    if mode != "off" or last >= LONG:
        several = example is not None and batch is None
        why = "its model takes several inputs" if several else obstacle(job, batch)
        if why is None and batch is not None and mode != "off" and changed(job, batch):
            why = "its loss has state that a step changes"
        if why is not None or batch is None:
            if mode == "on":
                say(f"The training step runs eagerly: {why}.")
        elif batch[0].is_cuda:
            wanted = mode == "on" or (mode == "auto" and last >= CAPTURING)
            if wanted and (step := _captured(job, batch)):
                return step, "on"
        elif mode == "off":
            # a function of the user's own may count its calls, and a model may be one that cannot be copied
            if (getattr(job.loss, "__module__", None) or "").partition(".")[0] in ("torch", "surefoot"):
                with contextlib.suppress(Exception):
                    if line := hint(_seconds(job, batch), last):
                        say(line)
        elif found := _program(
            job, batch, steps_at_once(every), last, only_if_it_pays=mode == "auto", say=say
        ):
            k = steps_at_once(every)
            # the first step of all is eager
            return shared(partial(_grouped, batch, k, found), job, batch, 1 + k, rest, program=True), "on"
    return shared(eager, job, batch, rest=rest), "off"


def steps_at_once(every: int) -> int:
    """K: 5, or a divisor where validation comes so often that few groups of 5 would fit between."""
    return 5 if every >= 20 else max(k for k in range(1, 6) if every % k == 0)


def obstacle(job: Job, batch: tuple[Tensor, Tensor] | None) -> str | None:
    """Why this step can't be compiled, as the end of a sentence; None if nothing is in the way."""
    if type(job.optimizer) is not SGD:
        return f"its optimizer is {type(job.optimizer).__name__}, not surefoot.SGD"
    if batch is None:
        return "there is no full batch of rows in memory"
    device = batch[0].device.type
    if device not in REFUSED:
        return f"it runs on {device}"
    if job.autocast is not None and device == "cpu":
        return "it runs under autocast"
    if whose := hooked(job.model, job.optimizer):
        return f"{whose} has hooks"
    own = set(job.model.parameters())
    for group in job.optimizer.param_groups:
        if any(p not in own for p in group["params"]):
            return "its optimizer trains tensors that are not the model's"
        if group["convention"] != "torch" and device == "cpu":
            return f"its optimizer follows convention={group['convention']!r}"
        for option in REFUSED[device]:
            if group[option]:
                return f"its optimizer has {option}={group[option]!r}"
    return None


def changed(job: Job, batch: tuple[Tensor, Tensor]) -> bool:
    """Whether a step changes what a loss of the user's own holds, as a moving mean; seen on a copy."""
    if (loss := stateful(job.loss)) is None or of_torch(loss):
        return False
    try:
        plain, tensors = pack(copied(loss))
        trial = job.copied()
        modes.train(trial.model)
        with on_trial(batch[0].device):
            eager(trial)(*batch)
        after, moved = pack(copied(trial.loss))  # type: ignore[arg-type]
        return after != plain or not all(torch.equal(t, moved[name]) for name, t in tensors.items())
    except Exception:
        return False  # whatever is wrong will show where it is compiled, or trains


def hint(seconds: float, steps: int) -> str | None:
    """What compiling would save in so many steps of so many seconds, if it would."""
    saved = seconds * steps * SAVING - COMPILING
    if saved < COMPILING:
        return None
    about = f"{saved:.0f} s" if saved < 120 else f"{saved / 60:.0f} minutes"
    return f"--compile on (in Python compile='on') would save about {about}."


def _captured(job: Job, batch: tuple[Tensor, Tensor]) -> Step | None:
    """The step as a CUDA graph, found right; None where the eager step runs."""
    try:
        found = graph.captured(job, batch)
    except Exception as error:  # whatever CUDA refuses to capture
        why = graph.cause(error)
        warnings.warn(f"The training step could not be captured and runs eagerly: {why}", stacklevel=3)
        return None
    if isinstance(found, str):
        warnings.warn(
            f"The captured step differs from the eager one, so steps run eagerly: {found}.", stacklevel=3
        )
        return None
    return found


def _program(
    job: Job,
    batch: tuple[Tensor, Tensor],
    k: int,
    last: int,
    *,
    only_if_it_pays: bool,
    say: Callable[[str], None],
) -> package.Package | None:
    """The program of K steps, cached or compiled now, and found right; None where the eager step runs."""
    assert isinstance(job.optimizer, SGD)
    x, y = (t.unsqueeze(0).expand(k, *t.shape).contiguous() for t in batch)
    modes.train(job.model)
    try:
        name = package.key(job, x, y)
        found = package.load(name)
        if found is None and package.trusted():
            if only_if_it_pays and _seconds(job, batch) * last * SAVING < COMPILING:
                return None
            say("Compiling the training step, once for this model and batch size: 15 to 30 s …")
            # make_fx brings in torch._dynamo
            from surefoot.train.compiled.program import trace

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler deprecates parts of itself
                package.store(trace(job, x, y), name)
            found = package.load(name)
    except Untold as reason:
        say(f"The training step runs eagerly: {reason}.")
        return None
    except Exception as error:  # whatever the compiler raises, or a user's Python that is looked through
        why = _cause(error)
        warnings.warn(f"The training step could not be compiled and runs eagerly: {why}", stacklevel=2)
        return None
    if found is None:
        warnings.warn(
            f"Other users can write to {package.folder()}; the training step runs eagerly.", stacklevel=2
        )
    elif wrong := _disagreement(job.copied(), found, x, y):
        warnings.warn(
            f"The compiled step differs from the eager one, so steps run eagerly: {wrong}.", stacklevel=2
        )
        found = None
    return found


def _cause(error: Exception) -> str:
    """What was wrong, in one line: torch hands on all that a C++ compiler has written."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    told = next((line.strip() for line in rest if _ERROR.search(line)), "")
    return f"{first}: {told}" if told else first


def _grouped(batch: tuple[Tensor, Tensor], k: int, found: package.Package, job: Job) -> Grouped:
    optimizer = job.optimizer
    assert isinstance(optimizer, SGD)

    def attach() -> CompiledSteps | None:
        try:
            return CompiledSteps(job.model, optimizer, found)
        except KeyError:  # no momentum buffers before the first step
            return None

    return Grouped(attach, optimizer, eager(job), batch, k)


def _seconds(job: Job, batch: tuple[Tensor, Tensor]) -> float:
    """Seconds of one eager step: the smallest of a few, on copies."""
    job = job.copied()
    modes.train(job.model)
    with on_trial(batch[0].device):
        step, seconds = eager(job), []
        for _ in range(5):
            start = time.perf_counter()
            step(*batch)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def _disagreement(job: Job, found: package.Package, x: Tensor, y: Tensor) -> str | None:
    """Where K compiled steps part from K eager ones; None where they agree. The job is used up."""
    assert isinstance(job.optimizer, SGD)
    with on_trial(x.device):
        step = eager(job)
        step(x[0], y[0])  # makes the momentum buffers
        now = [[g["lr"], g["momentum"]] for g in job.optimizer.param_groups]
        hyper = torch.tensor(now, dtype=torch.float64)
        return CompiledSteps(job.model, job.optimizer, found).disagreement(
            lambda: torch.stack([step(a, b) for a, b in zip(x, y, strict=True)]),
            x,
            y,
            hyper.expand(len(x), *hyper.shape).contiguous(),
        )
