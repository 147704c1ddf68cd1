"""`surefoot plot`: the curves of runs, over each other."""

from __future__ import annotations

from pathlib import Path

from surefoot.cli.kinds import File
from surefoot.errors import InputError


def plot(*run: Path, out: File = None) -> None:
    """Plot the loss and accuracy of runs, several in one plot.

    For example:
      surefoot plot runs/20250101-120000-mlp
      surefoot plot runs/* --out compared.pdf

    Args:
        run: Folders of runs, such as runs/20250101-120000-mlp.
        out: The picture: .png, .pdf or .svg. [default: curves.png in the run; of several, a new compared.png]
    """
    if not run:
        raise InputError("Name at least one run's folder, as in: surefoot plot runs/*")
    from surefoot.plot.file import check_picture, free_name, save_picture

    if out is not None:
        check_picture(out)
    run = tuple(folder for given in run for folder in _meant(given))
    from surefoot.plot.curves import curves

    figure = curves(run)
    file = out or (run[0] / "curves.png" if len(run) == 1 else free_name(Path("compared.png")))
    save_picture(figure, file, "choose another file with --out" if out is None else "")
    print(f"Drawn: {file}")


def _meant(given: Path) -> list[Path]:
    """The folders of runs that runs/* names; the shells of Windows leave that to the command."""
    if given.exists() or not set("*?[") & set(given.name):
        return [given]
    return sorted(f for f in given.parent.glob(given.name) if (f / "metrics.jsonl").exists()) or [given]
