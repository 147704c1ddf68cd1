"""MkDocs hook: a short piece of code in a line, as `--threads`, is not broken at its hyphens."""

from __future__ import annotations

import html
import re
from typing import Any

_INLINE = re.compile(r"(?<!<pre>)(?<!<span></span>)<code>([^<]*)</code>")  # and no block
_WORD = re.compile(r"\S*-\S*")
_SHORT = 30  # characters that fit a phone's width


def on_page_content(content: str, **_: Any) -> str:
    """Mark for the stylesheet what is short, the piece or its words; what is longer may be broken."""
    return _INLINE.sub(lambda m: _marked("code", m[1]), content)


def _marked(tag: str, text: str) -> str:
    if len(html.unescape(text)) <= _SHORT:
        return f'<{tag} class="short">{text}</{tag}>'
    return f"<code>{_WORD.sub(lambda m: _marked('span', m[0]), text)}</code>" if tag == "code" else text
