"""The result of `explain`: everything worked out, and the forms it can be written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surefoot.explain.forms.numerals import Numerals
from surefoot.explain.parting import Parting
from surefoot.explain.worked import Worked
from surefoot.trace import Script, Trace

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem
    from surefoot.plot.style import Picture

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """What happens in each step, worked out; `print` it, or show it in a notebook.

    Args:
        script: what was played.
        problem: what was differentiated; None if the gradients were given.
        worked: one for each rule.
        recorded: the trace of an optimizer beside them, if there is one.
        partings: where each further rule, or the optimizer, first parts from the first rule.
        theory: what is known about the first rule on this f, if it is quadratic.
        closing: what momentum did, with the first rule.
        checks: how the gradients were checked; "" if they were given.
        numerals: how numbers are written.
    """

    script: Script
    problem: Problem | None
    worked: tuple[Worked, ...]
    recorded: Trace | None
    partings: tuple[Parting, ...]
    theory: tuple[str, ...]
    closing: str
    checks: str
    numerals: Numerals

    @property
    def traces(self) -> tuple[Trace, ...]:
        """The trace of each rule, then that of the optimizer."""
        return (*(w.trace for w in self.worked), *([self.recorded] if self.recorded else []))

    def text(self, *, width: int = 100, color: bool = False) -> str:
        """Write it for a terminal of some width, in columns where they fit."""
        from surefoot.explain.forms.text import text

        return text(self, width=width, color=color)

    def markdown(self, *, typeset: bool = False) -> str:
        """Write it as Markdown: a table for each tensor and step; typeset, LaTeX between dollars."""
        if typeset:
            from surefoot.explain.forms.typeset import typeset as with_dollars

            return with_dollars(self)
        from surefoot.explain.forms.markdown import markdown

        return markdown(self)

    def latex(self) -> str:
        """Write it as LaTeX for a document that uses amsmath."""
        from surefoot.explain.forms.latex import latex

        return latex(self)

    def html(self, *, page: bool = True, pictures: Sequence[str] | None = None) -> str:
        """Write it as a page of HTML, complete in itself, or as a fragment.

        Args:
            page: a whole page; otherwise a fragment that brings its own style.
            pictures: kinds of `plot` that stand in it; by default "value" in a page, if there is an f.
        """
        from surefoot.explain.forms.html import html

        if pictures is None:
            pictures = ("value",) if page and self.problem is not None else ()
        return html(self, page=page, pictures={kind: self.plot(kind) for kind in pictures})

    def data(self) -> dict[str, Any]:
        """Give it as plain data, as JSON can hold it."""
        from surefoot.explain.forms.data import data

        return data(self)

    def json(self) -> str:
        """Write it as JSON."""
        import json

        return json.dumps(self.data(), indent=2, ensure_ascii=False)

    def frame(self) -> Any:
        """Give it as a pandas DataFrame: a row for each rule, step and element.

        Raises:
            InputError: pandas is not installed.
        """
        from surefoot.explain.forms.data import frame

        return frame(self)

    def plot(self, kind: str = "path", *others: Explanation) -> Picture:
        """Draw it, or it and others over each other; see `explain.pictures`.

        Args:
            kind: "path", "value", "over-time", "impulse" or "rates".
            others: further explanations, of the same f where f is drawn.

        Returns:
            A matplotlib figure.

        Raises:
            InputError: an unknown kind, or one that cannot be drawn of these.
        """
        from surefoot.explain.pictures import picture

        return picture(kind, self, *others)

    def __str__(self) -> str:
        """Write it as plain text."""
        return self.text()

    __repr__ = __str__  # a prompt shows this

    def _repr_markdown_(self) -> str:
        """Typeset by the MathJax or KaTeX of the notebook; it has none for HTML everywhere."""
        return self.markdown(typeset=True)

    def _repr_latex_(self) -> str:
        return self.latex()
