"""Kinds of options that several commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from surefoot.options import whole_number

__all__ = ["Flag", "Several", "Whole"]

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]  # has no --no-…
Whole = Annotated[int, Parameter(converter=whole_number)]
Several = Annotated[list[str] | None, Parameter(negative=(), consume_multiple=False)]  # one value each time
