"""`surefoot plot`: the curves of runs, over each other."""

from __future__ import annotations

from pathlib import Path

from surefoot.errors import InputError


def plot(*run: Path, out: Path | None = None) -> None:
    """Draw the loss and accuracy of runs over each other.

    Args:
        run: Folders of runs, such as runs/20250101-120000-mlp.
        out: The picture: .png, .pdf or .svg. [default: curves.png in the run; compared.png for several]
    """
    if not run:
        raise InputError("Name at least one run's folder, as in: surefoot plot runs/*")
    from surefoot.plot.curves import curves

    file = out or (run[0] / "curves.png" if len(run) == 1 else Path("compared.png"))
    if file.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise InputError(f"The picture '{file}' must be a .png, .pdf or .svg file.")
    figure = curves(run)
    try:
        figure.savefig(file)
    except OSError as error:
        raise InputError(f"Cannot write '{file}': {error.strerror or error}.") from None
    print(f"Drawn: {file}")
