"""The pipeline: from data to a validated model. Nothing heavy is imported before a name is used.

`surefoot.train` is both this package and its main function: `surefoot.train(epochs=3)` trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.loading import called_later, later

_HOME = {
    "Config": "config",
    "Interrupted": "run",
    "Run": "run",
    "RunDiverged": "run",
    "fit": "fitting",
    "resume": "job",
    "train": "job",
}
__all__ = ["Config", "Interrupted", "Run", "RunDiverged", "fit", "resume", "train"]

if TYPE_CHECKING:
    from surefoot.train.config import Config
    from surefoot.train.fitting import fit
    from surefoot.train.job import resume, train
    from surefoot.train.run import Interrupted, Run, RunDiverged

__getattr__ = later(__name__, _HOME)
called_later(__name__, "train")
