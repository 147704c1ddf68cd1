"""`surefoot runs`."""

from __future__ import annotations

import sys
from pathlib import Path

from surefoot.cli.streams import width
from surefoot.errors import InputError

__all__ = ["runs"]


def runs(folder: Path = Path("runs"), /) -> int:
    """List the runs in a folder with their best validation result, oldest first.

    For example:
      surefoot runs
      surefoot runs other/folder

    Args:
        folder: Where they are.
    """
    from surefoot.train.config import Config, read
    from surefoot.train.folder.folder import RunFolder
    from surefoot.train.progress import as_written
    from surefoot.train.run import Run

    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file; give a folder that holds runs, such as runs.")
    if not folder.is_dir():
        made = "the first run creates it: surefoot train"
        if folder != Path("runs"):
            made = "surefoot train writes runs to 'runs' unless --out is given"
        raise InputError(f"There is no folder '{folder}'; {made}.")
    titles = ("run", "status", "epochs", "best", "epoch", "optimizer", "lr", "momentum", "batch")
    table: list[tuple[str, ...]] = [titles]
    found = (path.parent for path in folder.glob("*/config.toml"))
    for path in sorted(found, key=lambda path: (str(RunFolder(path).environment.get("started", "~")), path)):
        try:
            config, run = Config(**read(path / "config.toml")), Run.load(path)
        except InputError:  # killed before its first step, or written by hand
            table.append((path.name, "no metrics", *[""] * 7))
            continue
        best, name = run.best, as_written(run.metric)[0]
        said = run.say(best[f"valid_{run.metric}"]) if best else ""
        lr = config.lr
        if lr is None and run.steps:  # the optimizer's own default, which a warm-up rises to
            lr = max(step["lr"] for step in run.steps)
        table.append(
            (
                path.name,
                "unfinished" if run.status == "running" else run.status,
                f"{len(run.epochs)}/{config.epochs}",
                said
                if name == "accuracy"
                else f"{name} {said}"
                if best
                else "",  # an accuracy is known by its %
                str(best["epoch"]) if best else "",
                _short(config.optimizer),
                "" if lr is None else f"{lr:g}",
                "" if config.momentum is None else f"{config.momentum:g}",
                str(config.batch_size),
            )
        )
    if len(table) == 1:
        raise InputError(f"There is no run in '{folder}'.")
    _print([*zip(*table, strict=True)])
    return 0


def _print(columns: list[tuple[str, ...]]) -> None:
    """Lines as long as the terminal is wide, if it is one: of what does not fit, the last columns go."""
    widths = [max(map(len, column)) for column in columns]
    room = width(otherwise=sys.maxsize)
    while len(widths) > 5 and sum(widths) + 2 * (len(widths) - 1) > room:
        widths.pop()
    for row in zip(*columns, strict=True):
        print("  ".join(f"{text:<{n}}" for text, n in zip(row, widths, strict=False)).rstrip())


def _short(optimizer: str) -> str:
    """An optimizer's name: of surefoot's own the one that chooses it, also where it was given to fit."""
    package, _, name = optimizer.rpartition(":")
    return "sgd" if name == "SGD" and package.partition(".")[0] == "surefoot" else name
