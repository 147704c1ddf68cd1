"""What the letters of an explanation mean: said once, before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from surefoot.explain.forms.pen import Pen

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation
    from surefoot.explain.problem.problem import Problem

__all__ = ["legend"]


def legend(explanation: Explanation, pen: Pen) -> Iterator[str]:
    """Yield sentences: what an index is, where gradients are taken, what is fixed.

    Args:
        explanation: what was worked out.
        pen: the hand to write them with.
    """
    problem = explanation.problem
    after = f"{pen.math(pen.letter('wₜ', 1))} is {pen.math('w')} after step 1"
    if problem is None:
        yield f"{after}, {pen.math(pen.letter('gₜ', 1))} the gradient that step 1 is given."
        return
    sentence = f"{after}, {_gradients(explanation, pen)}"
    if pen.names_elements(problem):
        sentence += f"; {_element(problem, pen)}"
    yield f"{sentence}."
    if any(problem.shapes[name] for name in problem.names):
        yield "In the lines of a step, arrays are multiplied, divided and squared element by element."
    if problem.fixed:
        names = " or ".join(pen.math(pen.letter(name)) for name in problem.fixed)
        yield f"No step changes {names}."
    if any("step(" in text for text in problem.gradient_text().values()):
        yield "step is 1 where its argument is positive, else 0."


def _gradients(explanation: Explanation, pen: Pen) -> str:
    """Where each rule takes its gradient: at w, or ahead of it."""
    ahead = [w.rule.look is not None for w in explanation.worked]
    there = {looks: _gradient(pen, "pₜ" if looks else "wₜ₋₁") for looks in ahead}
    if len(there) == 1:
        return there[ahead[0]]
    pairs = zip(ahead, explanation.worked, strict=True)
    return " and ".join(f"{there[looks]} in {pen.prose(w.rule.name)}" for looks, w in pairs)


def _gradient(pen: Pen, point: str) -> str:
    return pen.math(f"{pen.letter('gₜ', 1)} = {pen.nabla}f({pen.letter(point, 1)})")


def _element(problem: Problem, pen: Pen) -> str:
    """Say what an element is called, of the first variable that has some."""
    name, size = next((name, size) for name, size in problem.shapes.items() if size)
    which = "the first element" if len(size) == 1 else "the element in row 1 and column 1"
    which = which if len(size) < 3 else "the first element"
    element, typed = (write(name, (0,) * len(size)) for write in (pen.element, Pen(pen.numerals).element))
    code = "" if element == typed else f", {pen.prose(typed)} in code"
    return f"{pen.math(element)} is {which} of {pen.math(pen.letter(name))}{code}"
