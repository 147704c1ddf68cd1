"""An explanation as HTML: a fragment for a notebook, or a page that is complete in itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from surefoot.explain.forms.document import Block, Facts, Heading, Note, Side, Table, Work, document
from surefoot.explain.forms.pen import Pen

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation
    from surefoot.plot.style import Picture

__all__ = ["html"]

_STYLE = """
.surefoot-explain { font: 15px/1.5 system-ui, sans-serif; color: inherit; max-width: 72em; }
.surefoot-explain h2 { font-size: 1.25em; margin: .2em 0 .1em; }
.surefoot-explain h3 { font-size: 1.05em; margin: 1.4em 0 .3em; padding-top: .5em;
  border-top: 1px solid #8884; }
.surefoot-explain div { overflow-x: auto; } /* a wide table scrolls, not the page */
.surefoot-explain .facts span { display: inline-block; margin-right: 1.6em; }
.surefoot-explain .facts, .surefoot-explain td, .surefoot-explain th {
  font-family: "STIX Two Math", "Cambria Math", "DejaVu Serif", serif; }
.surefoot-explain table { border-collapse: collapse; margin: .3em 0 .7em; background: none; }
.surefoot-explain td, .surefoot-explain th { padding: .12em .9em .12em 0; white-space: nowrap; border: none;
  font-weight: normal; vertical-align: baseline; }
/* stronger than a notebook's own tables */
.surefoot-explain tr, .surefoot-explain td, .surefoot-explain th { text-align: left !important;
  background: none !important; }
.surefoot-explain tbody + tbody > tr:first-child > * { padding-top: .6em; }
.surefoot-explain th.name { font-weight: bold; padding-right: 1.4em; }
.surefoot-explain thead th { opacity: .65; border-bottom: 1px solid #8886; }
.surefoot-explain td.numbers { opacity: .7; }
.surefoot-explain td.result { font-weight: 600; }
.surefoot-explain .parted { background: #ffd54f; color: #222; padding: 0 .3em; border-radius: .2em;
  font-weight: 600; }
.surefoot-explain p { margin: .25em 0; }
.surefoot-explain p.new { border-left: 3px solid #0072b2; padding-left: .6em; }
.surefoot-explain p.part { border-left: 3px solid #e69f00; padding-left: .6em; margin-top: .8em; }
.surefoot-explain p.closing { border-left: 3px solid #009e73; padding-left: .6em; margin-top: .8em; }
.surefoot-explain p.picture img { max-width: 100%; background: white; }
.surefoot-explain p.checks { opacity: .65; font-size: .9em; margin-top: .8em; }
@media (max-width: 40em) { /* a phone: numbers on a line of their own, and nothing cut off */
.surefoot-explain table.work tr, .surefoot-explain table.work th { display: block; padding: .1em 0; }
.surefoot-explain table.work td { display: inline; padding: 0; white-space: normal; }
.surefoot-explain table.work td + td:not(:empty) { margin-left: .35em; }
.surefoot-explain table.work td.result { display: inline-block; padding: 0; }
.surefoot-explain table.work td.numbers:not(:empty)::before { content: "\\A\\2003"; white-space: pre; }
}
""".strip()

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2em auto; padding: 0 1.5em; max-width: 72em; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def html(
    explanation: Explanation, *, page: bool = True, pictures: Mapping[str, Picture] | None = None
) -> str:
    """Write an explanation as HTML.

    Args:
        explanation: what was worked out.
        page: a whole page; otherwise a fragment that brings its own style.
        pictures: kind → picture, to stand at the end.
    """
    blocks = list(document(explanation, Pen(explanation.numerals)))
    lines = [line for block in _together(blocks) for line in _write(block)]
    lines += [_picture(kind, picture) for kind, picture in (pictures or {}).items()]
    body = "\n".join([f"<style>\n{_STYLE}\n</style>", '<div class="surefoot-explain">', *lines, "</div>"])
    if not page:
        return body
    title = " and ".join(b.text for b in blocks if isinstance(b, Heading) and b.level == 1)
    return _PAGE.format(title=escape(title), body=body).rstrip("\n")


def _together(blocks: list[Block]) -> Iterator[Heading | Facts | Side | Note | Table | list[Work]]:
    """Put the tensors of a step together, so that one table aligns them."""
    works: list[Work] = []
    for block in blocks:
        if isinstance(block, Work):
            works.append(block)
            continue
        if works:
            yield works
            works = []
        yield block
    if works:
        yield works


def _write(block: Heading | Facts | Side | Note | Table | list[Work]) -> Iterator[str]:
    if isinstance(block, list):
        yield '<div><table class="work">'
        for work in block:
            yield from _work(work)
        yield "</table></div>"
    elif isinstance(block, Heading):
        yield f"<h{block.level + 1}>{escape(block.text)}</h{block.level + 1}>"
        if block.facts:
            yield _facts(block.facts)
    elif isinstance(block, Facts):
        yield _facts(block.items)
    elif isinstance(block, Side):
        heads = "".join(f"<th>{escape(c)}</th>" for c in block.columns)
        yield f"<div><table><thead><tr><th></th>{heads}</tr></thead><tbody>"
        for k, (label, entries) in enumerate(block.rows):
            cells = ""
            for i, entry in enumerate(entries):
                text = escape(entry or "–")
                parted = block.marked == (k, i)
                cells += (
                    f'<td><span class="parted">{text}</span> ◀ first difference</td>'
                    if parted
                    else f"<td>{text}</td>"
                )
            yield f'<tr><th class="name">{escape(label)}</th>{cells}</tr>'
        yield "</tbody></table></div>"
    elif isinstance(block, Table):
        names, *lines = block.rows
        yield f"<div><table><thead><tr>{_cells(names, 'th')}</tr></thead><tbody>"
        yield from (f"<tr>{_cells(line, 'td')}</tr>" for line in lines)
        yield "</tbody></table></div>"
    else:
        yield _note(block)


def _work(work: Work) -> Iterator[str]:
    yield "<tbody>"
    for i, (left, formula, numbers, result) in enumerate(work.rows):
        name = f'<th class="name" rowspan="{len(work.rows)}">{escape(work.name)}</th>' if i == 0 else ""
        cells = f"<td>{escape(left)}</td><td>{_equal(formula)}</td>"
        cells += f'<td class="numbers">{_equal(numbers)}</td><td class="result">{_equal(result)}</td>'
        yield f"<tr>{name}{cells}</tr>"
    yield "</tbody>"


def _picture(kind: str, picture: Picture) -> str:
    """The picture within the page, which needs no other file."""
    file = io.BytesIO()
    picture.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    says = {"value": "f over the steps", "path": "path over the contours of f"}.get(kind, kind)
    return f'<p class="picture"><img alt="{escape(says)}" src="data:image/svg+xml;base64,{data}"></p>'


def _note(note: Note) -> str:
    lead = "<b>New:</b> " if note.kind == "new" else ""
    return f'<p class="{note.kind}">{lead}{escape(note.text)}</p>'


def _cells(cells: list[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)


def _facts(items: tuple[str, ...]) -> str:
    return '<p class="facts">' + "".join(f"<span>{escape(item)}</span>" for item in items) + "</p>"


def _equal(text: str) -> str:
    return f"= {escape(text)}" if text else ""
