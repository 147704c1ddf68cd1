"""The training loop: steps, validations and checkpoints of a run, until it ends."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch.optim.lr_scheduler import LRScheduler

from surefoot.train import ending
from surefoot.train.best import Best
from surefoot.train.config import Config
from surefoot.train.evaluations import Evaluations
from surefoot.train.folder.checkpoint import Checkpoints, ended
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.records import Records
from surefoot.train.history import History
from surefoot.train.interrupt import Interruptible
from surefoot.train.lastgood import LastGood
from surefoot.train.looks.material import Material
from surefoot.train.looks.outcome import of_losses, of_stillness
from surefoot.train.objective.losses import of_squares, of_torch, stateful
from surefoot.train.progress import Progress
from surefoot.train.randomness import Randomness
from surefoot.train.rows.identity import sources
from surefoot.train.run import Run, RunDiverged
from surefoot.train.steps.engine import Job, Step
from surefoot.train.steps.notfinite import NotFinite
from surefoot.train.steps.shared import Pace

__all__ = ["Ready", "train_all"]


@dataclass(frozen=True)
class Ready:
    """A run that is ready to go.

    Args:
        job: model, loss and optimizer, and how a step treats them.
        step: takes a batch's step.
        what: rows and objective.
        config: of the run.
        every: steps from one validation to the next.
        lr: of the optimizer, before the schedule first changes it.
        scheduler: stepped after every batch, if there is one.
        folder: where the run is written, if it is.
        resumed: whether the folder holds a run to go on with.
        place: the device.
        progress: whether to print.
        pace: by how many threads validations are made; None for what torch is set to.
    """

    job: Job
    step: Step
    what: Material
    config: Config
    every: int
    lr: float
    scheduler: LRScheduler | None
    folder: RunFolder | None
    resumed: bool
    place: torch.device
    progress: bool
    pace: Pace | None = None


def train_all(ready: Ready) -> Run:
    """Take all steps of a run, or those that are left of it.

    Raises:
        RunDiverged: the loss became NaN or inf.
        Interrupted: a signal came.
        Exception: whatever the model, the loss or the rows raise.
    """
    model, made, what, folder = ready.job.model, ready.job.optimizer, ready.what, ready.folder
    config, step, scheduler = ready.config, ready.step, ready.scheduler
    rows, objective, epochs = what.rows, what.objective, config.epochs
    last = epochs * rows.steps
    run = Run(type(model).__name__ if folder is None else folder.path.name, objective.metric, folder)
    shown = Progress(
        epochs,
        rows.rows,
        None if what.valid is None else objective.metric,
        several=ready.every < rows.steps,
        shown=ready.progress,
    )
    own = stateful(objective.loss)
    history = History(run, shown, rows.steps, what.weigh)
    with (
        folder or nullcontext(),
        ending.rescuing(folder, model, run, history, own),
        Interruptible(told=ready.progress) as stop,
        Randomness(config.seed, ready.place, what.generators) as random,
    ):
        if folder is not None and ready.resumed and (whole := ended(folder, model, own)):
            return whole
        best = Best(model, objective.metric, folder)
        checkpoints = Checkpoints(
            folder,
            config.checkpoint_every,
            rows.steps,
            what.marks,
            sources(model=model, optimizer=made),
            model=model,
            loss=own,
            optimizer=made,
            schedule=scheduler,
            random=random,
            history=history,
            best=best,
        )
        if folder is not None and ready.resumed:
            run.records = Records(checkpoints.restore(folder))
        evaluations = Evaluations(
            model, what, history, best, random, stop, every=ready.every, last=last, pace=ready.pace
        )
        good = LastGood(model, history.step, own)
        try:
            for epoch in range(history.current, epochs + 1):
                history.begin(epoch)
                first = history.step
                batches = random.batches(rows, epoch, skip=first - (epoch - 1) * rows.steps)
                evaluations.catch_up()
                for x, y in () if history.owed else stop.through(batches):
                    lrs = [float(group["lr"]) for group in made.param_groups]
                    if not all(map(math.isfinite, lrs)):  # said before it spoils the weights
                        step.flush()
                        history.refuse(next(lr for lr in lrs if not math.isfinite(lr)))
                    history.trained(step(x, y), lrs[0], x, y)
                    if scheduler is not None:
                        scheduler.step()
                    if evaluations.due:
                        step.flush()
                        evaluations.validate()
                        good.offer(history.step)  # the losses up to here have been fetched
                    if not step.whole:
                        continue
                    if history.due:
                        history.fetch()
                        good.offer(history.step)
                    if history.inside and checkpoints.due(history.step):
                        history.fetch()
                        checkpoints.write(history.step)
                    if stop.asked and (history.inside or history.owed):
                        break
                step.flush()
                if stop.cut and history.step == first:  # no batch came
                    random.rewind()
                    checkpoints.write(history.step)
                    break
                if not history.inside:
                    evaluations.compare()
                history.end()
                if stop.asked or checkpoints.due(history.step):
                    checkpoints.write(history.step)
                if stop.asked:
                    break
            status = "interrupted" if history.owed or (stop.asked and history.step < last) else "finished"
        except NotFinite as found:
            status, problem, kept = "diverged", found, good.restore(found.bad)
        except (Exception, SystemExit) as error:  # a model that ends Python
            if not stop.ends(error):  # else while it validated: it goes on from the last checkpoint
                ending.failed(folder, model, best, run, history, own)
                raise
            status = "interrupted"
        finally:
            history.close()
        ending.written(folder, model, best, run, own, kept if status == "diverged" else None)
        if status == "diverged":
            targets = rows.targets() if rows.targets is not None and of_squares(objective.loss) else ()
            parts = 1 if of_torch(objective.loss) else config.accumulate
            why = problem.advice(ready.lr, targets, what.flaw(), what.not_finite(problem.step), parts)
            run.end(status, why=why, lr=problem.lr)
        else:
            run.end(status)
        if status == "finished":
            # near the end of a schedule the steps of a run that was resumed may be as small as that
            still = ready.lr and good.still and not ready.resumed
            said = of_stillness(last, ready.lr) if still else of_losses(run.records, ready.lr)
            if said is not None:
                warnings.warn(said, stacklevel=2)
    if status == "interrupted":
        raise ending.interrupted(run, history.step, last, stop.signal, checkpoints.step, folder)
    if status == "diverged":
        where = "" if folder is None else f" in {folder.path}"
        raise RunDiverged(f"{why}; the model of step {kept:,} is kept{where}.", run)
    return run
