"""MkDocs hook: a short piece of code in a line, as `--threads`, is not broken at its hyphens."""

from __future__ import annotations

import html
import re
from typing import Any

_INLINE = re.compile(r"<code>([^<]*)</code>")
_SHORT = 30  # characters that fit a phone's width


def on_page_content(content: str, **_: Any) -> str:
    """Mark each short piece for the stylesheet; what is longer may be broken, or a phone would scroll."""
    return _INLINE.sub(lambda m: f'<code class="short">{m[1]}</code>' if _is_short(m[1]) else m[0], content)


def _is_short(text: str) -> bool:
    return len(html.unescape(text)) <= _SHORT
