"""A report as a page of its own, one HTML file with nothing from elsewhere; and as a notebook shows it."""

from __future__ import annotations

from html import escape

from surefoot.check.report.words import MARKS, echoes, groups, headline, parts, short, summary
from surefoot.check.verdict import DIFFERS, FAILED, NOT_APPLICABLE, PASSED, Report, Verdict

__all__ = ["html", "html_fragment"]

_CLASS = {PASSED: "kept", FAILED: "failed", DIFFERS: "differs", NOT_APPLICABLE: "none"}
_STYLE = """
.surefoot-check { font: 15px/1.5 system-ui, sans-serif; color: #1c2330; max-width: 62rem; }
.surefoot-check h1 { font-size: 1.25rem; margin: 0 0 .3rem; }
.surefoot-check p { margin: .2rem 0 .8rem; }
.surefoot-check table { border-collapse: collapse; margin: .6rem 0 1rem; }
/* a notebook stripes its tables, and aligns them right */
.surefoot-check tr { background: none !important; }
.surefoot-check td { padding: .3rem .9rem .3rem 0; vertical-align: top; text-align: left !important;
  border-top: 1px solid #e3e6ec; }
.surefoot-check .clause { display: inline-block; margin-right: .9rem; white-space: nowrap; cursor: help; }
.surefoot-check .kept { color: #1a7f37; } .surefoot-check .failed { color: #c4162a; }
.surefoot-check .differs { color: #1f5fbf; } .surefoot-check .none { color: #8a93a3; }
.surefoot-check details { border-left: 3px solid #c4162a; padding: .3rem 0 .3rem .9rem; margin: .8rem 0; }
.surefoot-check details.none { border-color: #8a93a3; color: inherit; }
.surefoot-check summary { font-weight: 600; cursor: pointer; }
.surefoot-check dl { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: .3rem .8rem; }
.surefoot-check dt { color: #5b6473; } .surefoot-check dd { margin: 0; } .surefoot-check dd pre { margin: 0; }
.surefoot-check pre { background: #f4f6f9; padding: .6rem .8rem; overflow-x: auto; font-size: 13px;
  font-family: ui-monospace, monospace !important; white-space: pre !important; }
@media (prefers-color-scheme: dark) {
  body { background: #14181f; } .surefoot-check { color: #dfe4ec; }
  .surefoot-check td { border-color: #333b47; }
  .surefoot-check pre { background: #1e242e; } .surefoot-check .kept { color: #57c66f; }
  .surefoot-check .failed { color: #ff7b83; }  .surefoot-check .differs { color: #7db0ff; }
}
"""


def html(reports: list[Report]) -> str:
    """Write reports as one self-contained page."""
    title = escape("surefoot check: " + ", ".join(r.subject for r in reports))
    body = "\n<hr>\n".join(_article(r) for r in reports)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}body {{ margin: 2rem; }}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def html_fragment(report: Report) -> str:
    """Write a report as a notebook shows it."""
    style = _STYLE[: _STYLE.index("@media")]  # a notebook has colours of its own
    return f"<style>{style}</style>{_article(report)}"


def _article(report: Report) -> str:
    rows = []
    seen: set[str] = set()
    for group, verdicts in groups(report).items():
        clauses = " ".join(_clause(v) for v in verdicts)
        notes = "".join(
            f'<div class="differs">{escape(v.clause.id)}: {escape(v.note)}</div>'
            for v in verdicts
            if v.outcome == DIFFERS
        )
        if all(v.outcome == NOT_APPLICABLE for v in verdicts):  # why, once
            why = verdicts[0].note
            notes = f'<div class="none">{"as above" if why in seen else escape(why)}</div>'
            seen.add(why)
        rows.append(f"<tr><td>{escape(group)}</td><td>{clauses}{notes}</td></tr>")
    notes = "".join(f"<p>{escape(n)}</p>" for n in report.notes)
    failures = "\n".join(_failure(v) for v in report.verdicts if v.outcome == FAILED)
    kind = "failed" if report.failures else "kept"
    return (
        f'<article class="surefoot-check"><h1>{escape(headline(report))}</h1>'
        f'<p class="{kind}">{escape(summary(report))}</p>{notes}'
        f"<table>{''.join(rows)}</table>\n{failures}</article>"
    )


def _clause(v: Verdict) -> str:
    hint = v.clause.title + (f" ({short(v)})" if v.note else "")
    kind = _CLASS[v.outcome] if v.outcome != FAILED or v.failed else "none"
    return (
        f'<span class="clause {kind}" title="{escape(hint)}">{MARKS[v.outcome]} {escape(v.clause.id)}</span>'
    )


def _failure(v: Verdict) -> str:
    told = []
    for label, words in parts(v):
        shown = f"<pre>{escape(words)}</pre>" if "\n" in words or label == "reproduce" else escape(words)
        told.append(f"<dt>{escape(label)}</dt><dd>{shown}</dd>")
    name = f"{escape(v.clause.id)}: {escape(v.clause.title)}"
    opened = " open" if v.failed and not echoes(v) else ""
    kind = "" if v.failed else ' class="none"'
    return f"<details{kind}{opened}><summary>{name}</summary><dl>{''.join(told)}</dl></details>"
