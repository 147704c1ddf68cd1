"""MkDocs hook: formulas become MathML when the site is built, so that pages need no script and no network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

# what pymdownx.arithmatex (generic) leaves in a page: \( … \) inline, \[ … \] as a block
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Put MathML in the place of each formula of a page."""
    content = _INLINE.sub(lambda m: _mathml(m[1]), content)
    # the block around a formula scrolls where a screen is too narrow
    return _BLOCK.sub(lambda m: f'<div class="arithmatex">{_mathml(m[1], display="block")}</div>', content)


def _mathml(tex: str, **options: str) -> str:
    """MathML of what latex2mathml knows (`split`, not `aligned`), for browsers (no columnalign)."""
    math = convert(html.unescape(tex).strip().replace("{aligned}", "{split}"), **options)
    return re.sub(r'columnalign="(\w+)"', r'style="text-align: \1"', math)
