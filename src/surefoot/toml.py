"""What reads TOML: Python's own tomllib, or tomli where Python has none yet."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["tomllib"]
