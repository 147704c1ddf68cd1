"""Whose code raised: where it was a user's own model or optimizer, that is told in a sentence."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from surefoot.errors import Diverged, InputError, headline
from surefoot.train.folder.folder import RunFolder

__all__ = ["blaming"]


@contextmanager
def blaming(
    specs: Mapping[str, str], things: Mapping[str, object], run: RunFolder | None = None
) -> Iterator[None]:
    """Turn what the code of a user's class raises into an InputError that says where.

    Args:
        specs: what a thing is ("model") -> how the user named its class: `file.py:Class`. Others, without
            a colon, are surefoot's own.
        things: what it is -> the thing itself.
        run: the folder of the run, if what it did is saved there.
    """
    try:
        yield
    except (InputError, Diverged):
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)[::-1]
        for what, thing in things.items():
            files = _files(type(thing)) if ":" in specs[what] else []
            where = next((f for file in files for f in frames if f.filename == file), None)
            if where is not None:
                place = f"{Path(where.filename).name}, line {where.lineno}"
                more = f"; `surefoot check {specs[what]}` says more" if what == "optimizer" else ""
                if run is not None and run.metrics.begun:
                    more += f"; the results so far are saved in {run.path}"
                raise InputError(
                    f"The {what} '{specs[what]}' raises {headline(error)} ({place}){more}."
                ) from error
        raise


def _files(kind: type) -> list[str | None]:
    """Where a class and what it inherits from is written, its own file first; what all have is nobody's."""
    own = [base for base in kind.__mro__ if base not in (*nn.Module.__mro__, *Optimizer.__mro__)]
    files = []
    for base in own or [kind]:
        with suppress(TypeError):  # a builtin
            files.append(inspect.getsourcefile(base))
    return files
