"""Where surefoot keeps what it can make or download again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """The folder of downloads and compiled steps: $SUREFOOT_CACHE, or the system's place for caches."""
    if chosen := os.environ.get("SUREFOOT_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("surefoot", appauthor=False)
