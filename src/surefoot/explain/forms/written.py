"""What was worked out, written by a pen: a line of a step, a piece of news."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from surefoot.explain.forms.digits import to_follow
from surefoot.explain.forms.pen import Pen
from surefoot.explain.news import News
from surefoot.explain.problem.node import names
from surefoot.explain.worked import Line, Tensor

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem

__all__ = ["write_line", "write_news"]


def write_line(line: Line, tensor: Tensor, problem: Problem | None, pen: Pen) -> tuple[str, str, str, str]:
    """Write a line as left side, formula, numbers put in, result; a part that would say nothing new is ""."""
    equation = line.equation
    if equation is None:
        slope, formula = pen.slope(problem, tensor.name) if problem else ("", "")
        named = formula in map(pen.letter, tensor.point)  # g = x needs no x put in
        numbers = ""
        if problem and formula and not named and names(problem.slope_trees[tensor.name][0]):
            fine = replace(pen, numerals=to_follow(line, tensor, problem, pen.numerals))
            numbers = fine.slope_numbers(problem, tensor.name, tensor.point)
        taken = formula or slope
        if taken and any(other.name == "point" for other in tensor.lines):  # not at w: the rule looks ahead
            taken = pen.at(taken, pen.letter("pₜ", line.step))
        return pen.letter("gₜ", line.step), taken, numbers, pen.value(line.value)
    if equation.right == equation.left:  # a count, or elements that take branches of their own
        return pen.letter(equation.left.name, line.step), "", "", pen.value(line.value)
    plain = equation.right.is_Symbol or equation.right.is_number
    numbers = ""
    if not plain:
        fine = replace(pen, numerals=to_follow(line, tensor, problem, pen.numerals))
        numbers = fine.numbers(equation, line.known, line.scalars)
    return (
        pen.letter(equation.left.name, line.step),
        pen.formula(equation, line.step),
        numbers,
        pen.value(line.value),
    )


def write_news(news: News, pen: Pen) -> str:
    """Write a piece of news as words, with its mathematics in them."""
    match news.kind:
        case "option":
            was = "" if news.old is None else f", was {pen.math(pen.setting(news.old))}"
            return pen.math(f"{pen.letter(news.subject)} = {pen.setting(news.new)}") + was
        case "formula":
            return f"{_equality(news.new, pen)}, where step {news.old.step} had {_equality(news.old, pen)}"
        case "branch":
            which = pen.prose(news.subject)
            return (
                f"the elements of {which} take different branches of the rule, so no formula applies to all"
            )
        case "first":
            return f"{pen.prose(news.subject)} gets its first gradient"
        case "none":
            return f"{pen.prose(news.subject)} has no gradient, so it and its state do not change"
        case "move":
            value = pen.math(pen.value(news.new, pen.put_in))
            return f"{pen.prose(news.subject)} was set from outside to {value}"
        case "corner":
            corner = f"{pen.prose(news.subject)} has a kink here, and so no slope"
            if news.new == "max":
                return f"{corner}; half of the slope of each is used, as in torch.maximum"
            return f"{corner}; 0 is used, as in torch"
    return "the optimizer was saved, and loaded into a new one"


def _equality(line: Line, pen: Pen) -> str:
    assert line.equation is not None  # only rules' own lines become news
    return pen.math(
        f"{pen.letter(line.equation.left.name, line.step)} = {pen.formula(line.equation, line.step)}"
    )
