"""A run from its options: what it is given is looked at and made ready; loop.py takes the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from surefoot.train import modes, optimizers
from surefoot.train import schedule as schedules
from surefoot.train.alone import alone
from surefoot.train.compiled.choose import choose
from surefoot.train.config import Config
from surefoot.train.folder import saved
from surefoot.train.folder.folder import RunFolder
from surefoot.train.looks.material import material
from surefoot.train.loop import Ready, train_all
from surefoot.train.objective.losses import LOSSES, Loss, stateful
from surefoot.train.objective.scoring import Score
from surefoot.train.randomness import drawing
from surefoot.train.rows import opened
from surefoot.train.run import Run
from surefoot.train.saying import say
from surefoot.train.span import Span
from surefoot.train.steps import sharable, threads
from surefoot.train.steps.engine import Job

__all__ = ["isolated", "run_training"]


@contextmanager
def isolated(model: nn.Module) -> Iterator[None]:
    """One training at a time, with gradients; torch's threads and the model's modes are put back."""
    with (
        alone(),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        threads.kept(),
        opened.closing(),
        modes.kept(model),
    ):
        yield


def run_training(
    model: nn.Module,
    train: Any,
    valid: Any,
    config: Config,
    *,
    optimizer: Optimizer,
    device: torch.device,
    loss: str | Loss | None = None,
    metric: str | Score | None = None,
    scaling: Callable[..., Any] | None = None,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
    choice: sharable.Choice | None = None,
    folder: Callable[[int], RunFolder] | None = None,
    progress: bool = True,
    resume: bool = False,
) -> Run:
    """Train a model as `config` says; to be called inside `isolated`.

    Args:
        model: that check_model has passed, on the device.
        train: rows to train on, in any form that `fit` takes.
        valid: rows to validate on, or None.
        config: the options.
        optimizer: that optimizers.over has passed.
        device: where to compute.
        loss: as for `fit`.
        metric: as for `fit`.
        scaling: as for `fit`.
        schedule: in the place of the config's, a function of the user's own.
        choice: the threads, where they have been chosen.
        folder: up to how many threads may share a step -> the run's folder, made when torch is set to its
            threads; None writes none.
        progress: as for `fit`.
        resume: as for `fit`.

    Raises:
        InputError, RunDiverged, Interrupted, Exception: as for `fit`.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    modes.train(model)
    with drawing(config.seed, device):  # as a scaling may, or a model that is looked at
        what = material(model, train, valid, config, loss=loss, metric=metric, scaling=scaling, device=device)
        rows, objective = what.rows, what.objective
        own = objective.loss in LOSSES.values() and objective.autocast is None
        tried = objective.score is None
        choice = choice or sharable.chosen(config, model, optimizer, *what.seen, own=own, tried=tried)
    torch.set_num_threads(choice.threads)
    for line in what.advice(model) if progress else ():
        say(line)
    lr = float(optimizer.param_groups[0]["lr"])
    every = Span.parse(config.validate_every).steps(rows.steps)
    scheduler = schedules.make(
        schedule or config.schedule,
        optimizer,
        config.epochs,
        rows.steps,
        warmup=config.warmup,
        lr_step=config.lr_step,
        lr_factor=config.lr_factor,
    )
    if folder is not None:
        optimizers.warn_of_others(optimizer, model, loss)
        saved.check(model, stateful(loss))  # what cannot be written is better said before the first step
    written = None if folder is None else folder(choice.most)
    begun = written.settled("compile") if written is not None and resume else None
    with drawing(config.seed, device):
        job = Job(
            model,
            objective.loss,
            optimizer,
            config.clip,
            objective.autocast,
            config.accumulate,
            choice.most,
        )
        step, compile = choose(
            begun or config.compile,
            job,
            what.batch(config.batch_size),
            every=every,
            last=0 if begun else config.epochs * rows.steps,  # settled: what it would save need not be said
            rest=rows.rows % config.batch_size,
            say=say if progress else lambda line: None,
        )
        pace = sharable.evaluations(model, what.valid, objective, choice.most) if choice.evaluates else None
    resumed = written is not None and written.create(resume=resume, given=what.marks, compile=compile)
    return train_all(
        Ready(job, step, what, config, every, lr, scheduler, written, resumed, device, progress, pace)
    )
