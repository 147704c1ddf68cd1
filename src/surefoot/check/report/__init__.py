"""A Report written out: as text for a screen, and as JSON, Markdown, JUnit and HTML for everything else."""

from __future__ import annotations

from surefoot.check.report.data import as_json, junit, markdown
from surefoot.check.report.page import html, html_fragment
from surefoot.check.report.screen import progress, table, text

__all__ = ["as_json", "html", "html_fragment", "junit", "markdown", "progress", "table", "text"]
