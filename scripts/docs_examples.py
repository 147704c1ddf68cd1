"""Griffe extension: docstrings here say "Example:"; the site shows code only under the name "Examples:"."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Rename the section before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for each object that was loaded."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
