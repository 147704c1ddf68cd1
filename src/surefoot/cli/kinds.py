"""Kinds of options that several commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

__all__ = ["Flag", "Several"]

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]  # has no --no-…
Several = Annotated[list[str] | None, Parameter(negative=(), consume_multiple=False)]  # one value each time
