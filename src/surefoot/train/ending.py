"""How a run ends: what is written then, and what is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch import nn

from surefoot.errors import InputError
from surefoot.plot import painter
from surefoot.train.best import Best
from surefoot.train.config import GIVEN
from surefoot.train.folder import checkpoint_file, saved
from surefoot.train.folder.folder import FolderGone, RunFolder
from surefoot.train.folder.writing import NotWritten
from surefoot.train.history import History
from surefoot.train.run import Interrupted, Run
from surefoot.train.saying import typed

__all__ = ["failed", "interrupted", "rescuing", "written"]


def written(
    folder: RunFolder | None,
    model: nn.Module,
    best: Best,
    run: Run,
    loss: nn.Module | None,
    kept: int | None = None,
) -> None:
    """Write the weights, those of a loss that has some, the best ones, and the curves.

    Args:
        folder: the run's.
        model: the run's.
        best: its best weights.
        run: what was done.
        loss: one that has weights.
        kept: the step that the weights are of, where the run diverged after it.

    Raises:
        InputError: the folder cannot be written.
    """
    if folder is None:
        return
    folder.check_there()
    # no records where the first loss is NaN
    curves = painter.begun(run.name, run.records.drawn, run.folder) if run.records else None
    best.write()
    saved.save_last(folder, model, loss, None if kept is None else {"step": kept})
    if curves is not None:
        folder.write("curves.png", curves())


def failed(
    folder: RunFolder | None,
    model: nn.Module,
    best: Best,
    run: Run,
    history: History,
    loss: nn.Module | None,
) -> None:
    """Save what there is of a run that ends in an exception, which says more than any of its own would."""
    with suppress(Exception):
        history.fetch()
    with suppress(Exception):
        written(folder, model, best, run, loss)
    with suppress(Exception):
        run.end("failed")


@contextmanager
def rescuing(
    folder: RunFolder | None, model: nn.Module, run: Run, history: History, loss: nn.Module | None
) -> Iterator[None]:
    """Where the run's folder is gone when it ends, save the weights in its place: nothing else has them.

    Where a file could not be written, say what there is.
    """
    try:
        yield
    except Exception as error:
        if folder is not None and not folder.gone and isinstance(error, NotWritten):
            raise InputError(f"{str(error).rstrip('.')}; {_kept(folder)}.") from error
        if folder is None or not folder.gone:
            raise
        if run.status == "running":
            with suppress(InputError):
                run.end("failed")  # in a file that is open it is noted wherever that is now
        said = f"The run's folder '{folder.path}' was moved or removed during the run, which ended at step"
        said += f" {history.step:,}"
        with suppress(InputError):
            folder.make_anew()
            saved.save_last(folder, model, loss)
            said += f"; only the last weights are saved, in '{folder.path / saved.LAST}'"
        said += "; if it was moved, it can be resumed there from its last checkpoint."
        if isinstance(error, InputError) and isinstance(error.__cause__ or error, (FolderGone, OSError)):
            raise InputError(said) from error
        warnings.warn(said, stacklevel=2)  # what was raised says more
        raise


def _kept(folder: RunFolder) -> str:
    """What there is of a run that could not write a file, and how it goes on."""
    files = [name for name in (saved.LAST, saved.BEST) if (folder.path / name).exists()]
    if saved.LAST not in folder.wrote and saved.LAST in files:
        files.remove(saved.LAST)  # from before it was resumed
    step = checkpoint_file.last(folder.path)
    things = [*files, *([] if step is None else [f"the checkpoint of step {step:,}"])]
    if not things:
        return "no weights were saved"
    *first, final = things
    said = f"{', '.join(first)} and {final} are kept" if first else f"{final} is kept"
    if step is None:
        return f"{said}, but no checkpoint to resume from"
    given = folder.settled("data") == GIVEN
    how = "fit(…, resume=True)" if given else f"surefoot resume {typed(folder.path)}"
    return f"{said}; once the problem is fixed, continue with {how}"


def interrupted(
    run: Run, step: int, last: int, number: int | None, checkpoint: int, folder: RunFolder | None
) -> Interrupted:
    """What is raised for a run that was stopped after so many of its steps.

    Args:
        run: what was done.
        step: the last step that was made.
        last: the one that would have been the last.
        number: of the signal.
        checkpoint: the step of the last one; 0 if there is none.
        folder: the run's, if it has one.
    """
    if folder is None:
        return Interrupted(
            f"Stopped at step {step:,} of {last:,}; the model has the weights of that step.",
            run,
            number,
            False,
        )
    if checkpoint == step:
        done = "the results so far are"
    elif checkpoint:
        done = f"the weights, and a checkpoint of step {checkpoint:,} to resume from, are"
    else:
        done = "the weights, but no checkpoint to resume from, are"
    text = f"Stopped at step {step:,} of {last:,}; {done} saved in {folder.path}."
    return Interrupted(text, run, number, checkpoint > 0)
