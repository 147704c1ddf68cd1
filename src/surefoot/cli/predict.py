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

    from surefoot.train.pictures import Seen
    from surefoot.train.predict import Trained

__all__ = ["predict"]

Columns = dict[str, list[Any]]  # title -> a value for each row


def predict(
    run: Path,
    file: Path,
    /,
    *more: Path,
    best: Flag = False,
    raw: Flag = False,
    show: Flag = False,
    json: Flag = False,
    out: File = None,
) -> int:
    """Apply a run's model to pictures or a file of rows.

    For example:
      surefoot predict runs/20250101-120000-mlp digit.png
      surefoot predict runs/20250101-120000-mlp photos --show
      surefoot predict runs/20250101-120000-mlp rows.npz --out predicted.csv

    Exit code 0: every picture or row has a prediction; 2: the input is wrong, or a picture is empty.

    Args:
        run: The run's folder.
        file: A PNG or JPEG picture, or FILE.npz with rows x and, if known, targets y to compare with.
        more: More pictures, one line each; a folder stands for all pictures in it.
        best: Use the weights of the best validation instead of the last ones.
        raw: Do not prepare pictures; otherwise, for a model of MNIST, they are prepared as MNIST was.
        show: Print what the model sees of each picture, in characters.
        json: Print JSON.
        out: Write the rows, numbered from 0, to this .csv file instead of the screen.
    """
    if out is not None and out.suffix.lower() != ".csv":
        raise InputError(f"--out writes a .csv file, not '{out}'.")
    if json and show:
        raise InputError("--json and --show both write to the screen; choose one.")
    preload.wait()
    imports.lean()
    from surefoot.train import pictures
    from surefoot.train import predict as prediction

    interrupts_raise()
    trained = prediction.load(run, best=best)
    given = pictures.files([file, *more])
    of_rows = next((path for path in given if path.suffix.lower() == ".npz"), None)
    if of_rows is None:
        return _pictures(given, trained, raw=raw, show=show, json=json, out=out)
    if len(given) > 1 or show or raw:
        raise InputError(f"'{of_rows}' is a file of rows: it goes alone, without --show and --raw.")
    x, y, y_from = prediction.rows(of_rows, trained)
    output = trained(x)
    if trained.note:
        complain(trained.note)
    # first of all: what is wrong with y is told before anything is printed
    target = None if y is None else prediction.truth(trained, output, y, y_from)
    columns = _columns(trained, output, target)
    if out is not None:
        _save(out, columns)
    if json:
        _print_json(columns)
        return 0
    if out is None and trained.classes and target is None and len(x) == 1:
        _print(_likeliest(trained, output))
    elif out is None:
        if trained.classes and target is not None:
            right = output.argmax(1).numpy() == target
            columns[""] = ["" if same else "wrong" for same in right.tolist()]
        _print(columns)
    if target is not None:
        print(prediction.score(trained, output, target))
    if out is not None:
        print(f"Written: {out}")
    return 0


def _pictures(
    given: list[Path], trained: Trained, *, raw: bool, show: bool, json: bool, out: Path | None
) -> int:
    """Say what the model takes each picture for; of several, those that cannot be used are told and left."""
    import torch

    from surefoot.train import pictures

    seen: dict[Path, Seen] = {}
    for path in given:
        try:
            seen[path] = pictures.seen(path, trained, raw=raw)
        except InputError as error:
            if len(given) == 1:
                raise
            complain(str(error))
    if not seen:
        return InputError.exit_code
    output = trained(torch.cat([one.x for one in seen.values()]))
    if trained.note:
        complain(trained.note)
    columns = _columns(trained, output, None)
    columns["picture"] = [str(path) for path in seen]
    columns["doubt"] = ["; ".join(one.doubts) for one in seen.values()]
    if show:
        from surefoot.cli.blocks import blocks

        for path, one in seen.items():
            print(f"{path}\n{blocks(one.x[0].numpy())}")
    if out is not None:
        _save(out, columns)
    if json:
        columns["prepared"] = [one.prepared for one in seen.values()]
        if trained.classes:
            columns["probabilities"] = [
                dict(zip(trained.classes, shares, strict=True)) for shares in output.tolist()
            ]
        _print_json(columns)
    elif out is not None:
        print(f"Written: {out}")
    elif trained.classes and len(given) == 1:
        _print(_likeliest(trained, output))
    else:
        _print({title: columns[title] for title in ("picture", *columns) if title not in ("row", "doubt")})
    _say(seen, trained)
    return 0 if len(seen) == len(given) else InputError.exit_code


def _say(seen: dict[Path, Seen], trained: Trained) -> None:
    """Say of each answer why it is not sure, what was done to the pictures, and what the model cannot say."""
    from surefoot.train.pictures import only

    for path, one in seen.items():
        if one.doubts:
            complain(f"'{path}' gives no sure answer: {'; '.join(one.doubts)}")
    prepared = [str(path) for path, one in seen.items() if one.prepared]
    if prepared:
        which = f"'{prepared[0]}' was" if len(seen) == 1 else f"{len(prepared)} of {len(seen)} pictures were"
        complain(f"{which} prepared as MNIST was: cut out, light on dark, centred; --raw leaves that out")
    if trained.classes:
        complain(only(trained.classes))


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


def _print_json(columns: Columns) -> None:
    """Print an object for each row, with the columns' titles as keys."""
    import json as library

    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    print(library.dumps(rows, indent=2, ensure_ascii=False))


def _save(file: Path, columns: Columns) -> None:
    try:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    except OSError as error:
        raise InputError(f"Cannot write '{file}': {error.strerror or error}.") from None
