"""Data: from a name or a path to tensors, and from tensors to batches.

Nothing heavy is imported before a name is used, so that the command line can list the data sets at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.loading import later

_HOME = {
    "Data": "sources",
    "Scaling": "scale",
    "Split": "sources",
    "batches": "batching",
    "learn": "scale",
    "load": "sources",
    "order": "batching",
}
__all__ = ["Data", "Scaling", "Split", "batches", "learn", "load", "order"]

if TYPE_CHECKING:
    from surefoot.train.data.batching import batches, order
    from surefoot.train.data.scale import Scaling, learn
    from surefoot.train.data.sources import Data, Split, load

__getattr__ = later(__name__, _HOME)
