"""fit: a model and rows that are at hand, and options in Python; training.py does the rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from surefoot.errors import InputError
from surefoot.train import device as devices
from surefoot.train import optimizers
from surefoot.train import schedule as schedules
from surefoot.train.asked import asked
from surefoot.train.config import GIVEN, Config
from surefoot.train.data import Scaling
from surefoot.train.environment import environment
from surefoot.train.folder.folder import RunFolder
from surefoot.train.looks.checks import check_model
from surefoot.train.objective.losses import Loss
from surefoot.train.objective.scoring import Score
from surefoot.train.optimizers import Maker
from surefoot.train.ranges import check_parts
from surefoot.train.rows.identity import named
from surefoot.train.run import Run
from surefoot.train.training import isolated, run_training

__all__ = ["fit"]


@asked
def fit(
    model: nn.Module,
    train: Any,
    valid: Any = None,
    *,
    optimizer: Optimizer | Maker | None = None,
    loss: str | Loss | None = None,
    metric: str | Score | None = None,
    epochs: int = 5,
    batch_size: int = 32,
    shuffle: bool = True,
    scaling: Callable[..., Any] | None = None,
    schedule: str | Callable[[Optimizer], LRScheduler] = "constant",
    warmup: str | None = None,
    lr_step: str | None = None,
    lr_factor: float = 0.1,
    clip: float | None = None,
    accumulate: int = 1,
    validate_every: str = "1 epoch",
    checkpoint_every: str = "1 minute",
    seed: int = 0,
    threads: int | None = None,
    device: str | torch.device = "auto",
    precision: str = "float32",
    compile: str = "off",
    progress: bool = True,
    out: Path | str | None = None,
    resume: bool = False,
) -> Run:
    """Train `model` on `train`, validating on `valid`.

    For each epoch and batch: θ ← optimizer(θ, ∇ loss(model(x), y)).

    Args:
        model: trained in place, and moved to the device. Of one in training mode, parts in evaluation mode
            stay in it, as frozen layers should; one in evaluation mode is trained as a whole, and put back.
        train: (x, y) as tensors or arrays, x (n, ...), y (n,) class numbers or (n, ...) measures; or a
            Dataset of such pairs; or a DataLoader, whose own batch size and order then hold. For a model of
            several inputs x is a tuple, or a dict by their names, whose targets may be in it as `labels`.
        valid: rows to validate on, in the same forms; None validates nothing.
        optimizer: over the model's parameters, or a function that makes it from them; None is
            surefoot.SGD with lr 0.05, momentum 0.9 and Nesterov's step. One that is given ready-made has its
            own lr again after a schedule.
        loss: (output, target) -> scalar; "cross-entropy" or "squared-error"; None goes by the targets' type.
            A module is moved to the device; it learns where the optimizer has its parameters.
        metric: what a validation is judged by: "accuracy", "r2" or "loss"; None is accuracy for class
            numbers, R² for measures, and the loss where for measures there is a loss of your own. Or a
            function (outputs, targets) -> number of all rows to validate on at once, the larger the better.
        epochs: how often to go through the training rows.
        batch_size: rows in a batch; the last one may be smaller.
        shuffle: a new order in each epoch, depending on (seed, epoch) alone.
        scaling: applied to the inputs, on the device, all of them at once where there are several; None
            leaves them, but makes bytes of arrays float.
        schedule: "constant", "cosine", "step", "one-cycle" or "warm-up", or a function from the optimizer to
            a scheduler; it is stepped after every batch.
        warmup: linear warm-up before the schedule, such as "100 steps" or "1 epoch".
        lr_step: for "step", multiply lr after each such stretch; None is a third of the run.
        lr_factor: for "step", what lr is multiplied by.
        clip: the gradient's largest norm.
        accumulate: take each batch's gradient in so many parts of its rows, one after the other, which needs
            so much less memory; the update is the whole batch's, for a loss that is a mean over the rows.
        validate_every: such as "50 steps" or "2 epochs"; the last step always validates.
        checkpoint_every: such as "500 steps", "1 epoch" or "5 minutes"; "never" writes none, nor is any
            written without `out`.
        seed: of the order and of dropout; the random states outside (torch, numpy, Python) stay as they are.
        threads: of the CPU, for this run. None takes small steps by one thread, or, where no bit of the
            result goes by their number, by up to as many as torch has been set to; and others by so many.
        device: "auto" is cuda, mps or cpu, the first there is.
        precision: "float32", or "bfloat16" to autocast the forward pass, of validations too.
        compile: "off"; "on" runs the step as one compiled program; "auto" does so where that pays.
        progress: print a line per epoch, and a bar where somebody watches.
        out: a folder to write the run to, created here.
        resume: where `out` holds a run, go on from its last checkpoint; everything else must be given as it
            was then. A finished run is handed back, and the model gets its weights.

    Returns:
        The run: its history per step and per epoch.

    Raises:
        InputError: something given cannot be used.
        RunDiverged: the loss or lr became NaN or inf; the model has the last copy of its weights made while
            it was finite, at the start or about every 100 steps.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP; the model has the weights of the last whole step.
        Exception: whatever the model, the loss or the rows raise; what was done is saved in `out`.

    Example:
        >>> x = torch.linspace(-1, 1, 64).reshape(-1, 1)
        >>> run = fit(nn.Linear(1, 1), (x, 3 * x + 2), (x, 3 * x + 2), epochs=100, progress=False)
        >>> round(run.epochs[-1]["valid_r2"], 3)
        1.0
    """
    check_model(model)
    if resume and out is None:
        raise InputError("resume=True requires out, the folder of the run to continue.")
    scheduled = schedule != "constant" or warmup
    own = optimizer if isinstance(optimizer, Optimizer) and scheduled else None
    with isolated(model), nullcontext() if own is None else schedules.lent(own):
        place = devices.pick(device)
        devices.move(place, model, loss)
        made = optimizers.over(model, optimizer)
        config = Config(
            data=GIVEN,
            model=named(model),
            **optimizers.told(made) | ({"optimizer": "sgd"} if optimizer is None else {}),
            epochs=epochs,
            batch_size=(isinstance(train, DataLoader) and train.batch_size) or batch_size,
            shuffle=shuffle,
            schedule=schedule if isinstance(schedule, str) else "constant",  # type: ignore[arg-type]
            warmup=warmup,
            lr_step=lr_step,
            lr_factor=lr_factor,
            clip=clip,
            accumulate=accumulate,
            validate_every=validate_every,
            checkpoint_every=checkpoint_every,
            seed=seed,
            threads=threads,
            device=str(device),
            precision=precision,  # type: ignore[arg-type]
            compile=compile,  # type: ignore[arg-type]
        )
        check_parts(config.batch_size, config.accumulate)

        def folder(most: int) -> RunFolder:
            about = {"scaling": scaling.to_dict()} if isinstance(scaling, Scaling) else {}
            machine = environment(place, config.seed, most)
            return RunFolder(out, config=config.save_text(), environment=machine, about=about)

        return run_training(
            model,
            train,
            valid,
            config,
            optimizer=made,
            device=place,
            loss=loss,
            metric=metric,
            scaling=scaling,
            schedule=None if isinstance(schedule, str) else schedule,
            folder=None if out is None else folder,
            progress=progress,
            resume=resume,
        )
