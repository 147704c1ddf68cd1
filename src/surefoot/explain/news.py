"""What is new in a step against the one before: another option, another formula, a move from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surefoot.rules import Rule
from surefoot.trace import Move, Reload, Script, Set

if TYPE_CHECKING:
    from surefoot.explain.worked import Line, Tensor, WorkedStep

__all__ = ["News", "find_news"]


@dataclass(frozen=True)
class News:
    """What is new in a step against the one before.

    Args:
        kind: "option" (a letter, its old and new values), "formula" (a tensor, its old and new line), "first"
            (a tensor's first gradient after step 1), "none" (a tensor without one), "move" (a tensor moved
            from outside, its new value), "reload", "corner" (the part of f that has one here, and its
            function as `new`), "branch" (a tensor whose elements take several).
        subject: the letter or tensor.
        old: what the step before had.
        new: what this step has.
    """

    kind: str
    subject: str = ""
    old: Any = None
    new: Any = None


def find_news(
    script: Script, t: int, rule: Rule, tensors: list[Tensor], steps: list[WorkedStep]
) -> tuple[News, ...]:
    """Say what step t has that the one before did not.

    Args:
        script: what is played.
        t: the step's number, from 1.
        rule: the rule it is played on.
        tensors: the step's tensors.
        steps: the steps before it.
    """
    news = []
    for event in script.steps[t - 1].events:
        if isinstance(event, Set):
            letter = next((x.letter for x in rule.hypers if x.name == event.option), event.option)
            news.append(News("option", letter, _before(script, t, event), event.value))
        elif isinstance(event, Move):
            news.append(News("move", event.name, None, event.value))
        elif isinstance(event, Reload):
            news.append(News("reload"))
    seen: set[tuple[str, str]] = set()
    for tensor in tensors:
        if not tensor.lines:
            news.append(News("none", tensor.name))
            continue
        told = any(n.kind == "branch" for s in steps for n in s.news)
        if not told and any(_blank(line) and line.equation.left.name != "t" for line in tensor.lines):  # type: ignore[union-attr]
            news.append(News("branch", tensor.name))
        earlier = [s for s in steps if _find(s, tensor.name).lines]
        if not earlier:
            if t > 1:
                news.append(News("first", tensor.name))
            continue
        old = {line.name: line for line in _find(earlier[-1], tensor.name).lines}
        for line in tensor.lines:
            last = old.get(line.name)
            if line.equation is None or last is None or last.equation is None:
                continue
            if _blank(last) or _blank(line):
                continue
            if last.equation.right != line.equation.right:
                pair = str(last.equation.right), str(line.equation.right)
                if pair not in seen:
                    news.append(News("formula", tensor.name, last, line))
                seen.add(pair)
    return tuple(news)


def _blank(line: Line) -> bool:
    """Whether a line shows a number without a formula."""
    return line.equation is not None and bool(line.equation.right == line.equation.left)


def _find(step: WorkedStep, name: str) -> Tensor:
    return next(tensor for tensor in step.tensors if tensor.name == name)


def _before(script: Script, t: int, event: Set) -> Any:
    """The value of an option before an event of step t; None if it had the rule's default."""
    group = event.group or 0
    value = script.groups[group].options.get(event.option)
    for step in script.steps[: t - 1]:
        for e in step.events:
            if isinstance(e, Set) and e.option == event.option and group in e.meant(len(script.groups)):
                value = e.value
    return value
