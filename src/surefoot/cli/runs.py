"""`surefoot runs`."""

from __future__ import annotations

import sys
from pathlib import Path

from surefoot.cli.streams import width
from surefoot.errors import InputError

__all__ = ["runs"]

_TITLES = ("run", "status", "epochs", "best", "epoch", "optimizer", "lr", "momentum", "batch")
_KEPT = 5  # columns that are shown however narrow the terminal is
_NAME, _LEAST = 29, 12  # letters of a run's name that are shown before columns go, and after


def runs(folder: Path = Path("runs"), /) -> int:
    """List the runs in a folder with their best validation result, oldest first.

    For example:
      surefoot runs
      surefoot runs other/folder

    Status: running; finished; interrupted or unfinished (killed): resume it;
    failed (an exception ended it); diverged (the loss became NaN or inf).

    Args:
        folder: Where they are.
    """
    from surefoot.train.folder.folder import RunFolder
    from surefoot.train.saying import typed

    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file; give a folder that holds runs, such as runs.")
    if not folder.is_dir():
        made = "the first run creates it: surefoot train"
        if folder != Path("runs"):
            made = "surefoot train writes runs to 'runs' unless --out is given"
        raise InputError(f"There is no folder '{folder}'; {made}.")
    found = (path.parent for path in folder.glob("*/config.toml"))
    paths = sorted(found, key=lambda path: (str(RunFolder(path).environment.get("started", "~")), path))
    if not paths:
        if (folder / "config.toml").is_file():
            said = f"surefoot runs {typed(folder.resolve().parent)}"
            raise InputError(f"'{folder}' is a run itself; give the folder that holds it: {said}.")
        raise InputError(f"There is no run in '{folder}'.")
    _print([*zip(_TITLES, *map(_row, paths), strict=True)])
    return 0


def _row(path: Path) -> tuple[str, ...]:
    """What the table says of a run."""
    from surefoot.runs import optimizer
    from surefoot.train.config import Config, read
    from surefoot.train.folder.lock import held
    from surefoot.train.progress import as_written
    from surefoot.train.run import Run

    try:
        config = Config(**read(path / "config.toml"))
    except InputError:  # edited, or of another version
        return (path.name, "bad config.toml", *[""] * 7)
    status = "running" if held(path) else "unfinished"
    try:
        run = Run.load(path)
    except InputError:  # killed before its first step, or the file is damaged
        run = None
    if run is None and status != "running":
        return (path.name, "no metrics", *[""] * 7)
    if run is not None and run.status != "running":
        status = run.status
    best, at, lr = "", "", config.lr
    if run is not None and (record := run.best):
        name, value = as_written(run.metric)[0], run.say(record[f"valid_{run.metric}"])
        best, at = value if name == "accuracy" else f"{name} {value}", str(record["epoch"])  # known by its %
    if run is not None and lr is None and run.steps:  # the optimizer's own, which a warm-up rises to
        lr = max(step["lr"] for step in run.steps)
    return (
        path.name,
        status,
        f"{0 if run is None else len(run.epochs)}/{config.epochs}",
        best,
        at,
        " ".join([optimizer(config.optimizer), *config.opt]),
        "" if lr is None else f"{lr:g}",
        "" if config.momentum is None else f"{config.momentum:g}",
        str(config.batch_size),
    )


def _print(columns: list[tuple[str, ...]]) -> None:
    """Lines as long as the terminal is wide, if it is one.

    Of what does not fit, long names are shortened, as far as that helps; then the last columns go.
    """
    widths = [max(map(len, column)) for column in columns]
    room = width(otherwise=sys.maxsize)

    def over() -> int:
        return sum(widths) + 2 * (len(widths) - 1) - room

    while len(widths) > _KEPT and over() > widths[0] - _NAME:
        widths.pop()
    if over() > 0:
        widths[0] = max(min(widths[0], _LEAST), widths[0] - over())
    for name, *others in zip(*columns, strict=True):
        row = (_shortened(name, widths[0]), *others)
        print("  ".join(f"{text:<{n}}" for text, n in zip(row, widths, strict=False)).rstrip())


def _shortened(name: str, most: int) -> str:
    """A name of at most so many letters, by its ends: the time that a run began, and how it was called."""
    begin = (most - 1) // 2
    return name if len(name) <= most else f"{name[:begin]}…{name[begin + 1 - most :]}"
