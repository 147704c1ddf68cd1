"""`surefoot predict`."""

from __future__ import annotations

from pathlib import Path

from surefoot.cli.kinds import Flag
from surefoot.cli.streams import complain

__all__ = ["predict"]


def predict(run: Path, file: Path, /, *, best: Flag = False) -> int:
    """Use a run's model on a picture or a file of rows.

    Args:
        run: The run's folder.
        file: A picture, as PNG or JPEG, or FILE.npz with rows x, and y if it is known, to compare with.
        best: With the weights of the best validation, rather than the last ones.
    """
    from surefoot.train import predict as prediction
    from surefoot.train.picture import picture

    trained = prediction.load(run, best=best)
    if file.suffix.lower() == ".npz":
        x, y, y_from = prediction.rows(file, trained)
    else:
        x, y, y_from = picture(file, trained.shape), None, ""
    output = trained(x)
    if trained.note:
        complain(trained.note)
    # first of all: what is wrong with y is told before anything is printed
    said = None if y is None else prediction.score(trained, output, y, y_from)
    if not trained.classes:
        for row in output.tolist():
            print(*(f"{value:.6g}" for value in row))
        if said is not None:
            print(said)
        return 0
    shares, order = output.sort(dim=1, descending=True)
    if len(x) == 1 and y is None:
        for share, number in zip(shares[0, :3].tolist(), order[0, :3].tolist(), strict=True):
            print(f"{trained.classes[number]:>{max(map(len, trained.classes))}}  {100 * share:6.2f} %")
        return 0
    for number, share in zip(order[:, 0].tolist(), shares[:, 0].tolist(), strict=True):
        print(f"{trained.classes[number]}  {100 * share:6.2f} %")
    if said is not None:
        print(said)
    return 0
