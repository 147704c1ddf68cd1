"""`surefoot predict`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot import preload
from surefoot.cli.kinds import File, Flag
from surefoot.cli.signals import interrupts_raise
from surefoot.cli.streams import complain
from surefoot.errors import InputError
from surefoot.train import imports

if TYPE_CHECKING:
    from torch import Tensor

    from surefoot.train.predict import Trained

__all__ = ["predict"]

Columns = dict[str, list[Any]]  # title -> a value for each row


def predict(run: Path, file: Path, /, *, best: Flag = False, out: File = None) -> int:
    """Apply a run's model to a picture or a file of rows.

    For example:
      surefoot predict runs/20250101-120000-mlp digit.png
      surefoot predict runs/20250101-120000-mlp rows.npz --out predicted.csv

    Args:
        run: The run's folder.
        file: A PNG or JPEG picture, or FILE.npz with rows x and, if known, targets y to compare with.
        best: Use the weights of the best validation instead of the last ones.
        out: Write the rows, numbered from 0, to this .csv file instead of the screen.
    """
    if out is not None and out.suffix.lower() != ".csv":
        raise InputError(f"--out writes a .csv file, not '{out}'.")
    preload.wait()
    imports.lean()
    from surefoot.train import predict as prediction
    from surefoot.train.picture import picture

    interrupts_raise()
    trained = prediction.load(run, best=best)
    if file.suffix.lower() == ".npz":
        x, y, y_from = prediction.rows(file, trained)
    else:
        x, y, y_from = picture(file, trained.shape), None, ""
    output = trained(x)
    if trained.note:
        complain(trained.note)
    # first of all: what is wrong with y is told before anything is printed
    target = None if y is None else prediction.truth(trained, output, y, y_from)
    if out is not None:
        _save(out, _columns(trained, output, target))
    elif trained.classes and target is None and len(x) == 1:
        _print(_likeliest(trained, output))
    else:
        columns = _columns(trained, output, target)
        if trained.classes and target is not None:
            right = output.argmax(1).numpy() == target
            columns[""] = ["" if same else "wrong" for same in right.tolist()]
        _print(columns)
    if target is not None:
        print(prediction.score(trained, output, target))
    if out is not None:
        print(f"Written: {out}")
    return 0


def _columns(trained: Trained, output: Tensor, target: Any) -> Columns:
    """What is said of each row: what the model takes it for, and what it is, where that is known."""
    columns: Columns = {"row": [*range(len(output))]}
    if trained.classes:
        shares, numbers = output.max(dim=1)
        columns["predicted"] = [trained.classes[number] for number in numbers.tolist()]
        columns["probability"] = shares.tolist()
        if target is not None:
            columns["y"] = [trained.classes[number] for number in target.tolist()]
        return columns
    for name, values in (("predicted", output), ("y", target)):
        for i in range(0 if values is None else values.shape[1]):
            columns[f"{name} {i}" if values.shape[1] > 1 else name] = values[:, i].tolist()
    return columns


def _likeliest(trained: Trained, output: Tensor) -> Columns:
    shares, order = output[0].sort(descending=True)
    return {
        "class": [trained.classes[number] for number in order[:3].tolist()],
        "probability": shares[:3].tolist(),
    }


def _print(columns: Columns) -> None:
    """Columns below their titles, numbers to the right."""
    table = []
    for title, values in columns.items():
        cells = [title]
        for value in values:
            share = f"{100 * value:.2f} %" if title == "probability" else None
            cells.append(share or (f"{value:.6g}" if isinstance(value, float) else str(value)))
        right = title != "" and not any(isinstance(value, str) for value in values)
        width = max(map(len, cells))
        table.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    for line in zip(*table, strict=True):
        print("  ".join(line).rstrip())


def _save(file: Path, columns: Columns) -> None:
    try:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    except OSError as error:
        raise InputError(f"Cannot write '{file}': {error.strerror or error}.") from None
