"""An explanation as a list of blocks, written by a pen: what text, Markdown, LaTeX and HTML lay out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from surefoot.explain.forms.digits import hides
from surefoot.explain.forms.legend import legend
from surefoot.explain.forms.numerals import MOST_DIGITS
from surefoot.explain.forms.pen import Pen
from surefoot.explain.forms.written import write_line, write_news
from surefoot.explain.worked import Tensor, Worked
from surefoot.trace import Trace
from surefoot.trace.values import Number

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["Block", "Facts", "Heading", "Note", "Row", "Side", "Table", "Work", "document"]

Row: TypeAlias = tuple[str, str, str, str]  # left side, formula, numbers put in, result; mathematics


@dataclass(frozen=True)
class Heading:
    """A title (level 1) or a step (level 2); `facts` stand beside it."""

    text: str
    level: int
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Equations that stand beside each other."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """One tensor's step, line by line."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Side:
    """One step of several traces beside each other.

    Args:
        columns: who each column is.
        rows: what each row is (mathematics), and its entry in each column; "" where there is none.
        marked: the row and column of the first number that differs, if it is here.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    marked: tuple[int, int] | None


@dataclass(frozen=True)
class Note:
    """A sentence; `kind` is "new", "value", "part", "theory", "closing" or "checks"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Table:
    """Words and numbers in columns, as lines of text whose columns are two blanks or more apart."""

    lines: tuple[str, ...]

    @property
    def rows(self) -> list[list[str]]:
        """Its cells; the first row is the heads."""
        return [re.split(" {2,}", line.strip()) for line in self.lines]


Block: TypeAlias = Heading | Facts | Work | Side | Note | Table


def document(explanation: Explanation, pen: Pen) -> Iterator[Block]:
    """Yield what an explanation says, in order.

    Args:
        explanation: what was worked out.
        pen: the hand to write it with.
    """
    alone = len(explanation.worked) == 1
    for worked in explanation.worked:
        yield Heading(pen.prose(worked.rule.title), 1, tuple(_settings(worked, pen)))
    yield from _problem(explanation, pen)
    for worked in explanation.worked:
        if worked.rule.mistake:
            yield Note("part", pen.prose(f"A known mistake: {worked.rule.mistake}."))
        yield from (
            Note("theory", pen.prose(f"{x.letter} is {x.meaning}.")) for x in worked.rule.slots if x.meaning
        )
    yield from (Note("theory", line) for line in legend(explanation, pen))
    marks = _marks(explanation)
    for t in range(1, len(explanation.script.steps) + 1):
        yield Heading(f"Step {t}", 2)
        first = explanation.worked[0].steps[t - 1]
        yield from (
            Note("new", write_news(news, pen)) for news in first.news if alone or news.kind != "formula"
        )
        if alone:
            yield from _work(explanation, explanation.worked[0], t, pen)
        if len(explanation.traces) > 1:
            yield _side(explanation, t, marks, pen)
            if not alone:
                yield from _parting_work(explanation, t, pen)
    yield from (Note("part", pen.prose(str(parting))) for parting in explanation.partings)
    if alone:
        yield from _theory(explanation, pen)
    if alone and explanation.closing:
        yield Note("closing", pen.prose(explanation.closing))
    if hides(pen.numerals, explanation.traces):
        yield Note("checks", f"A movement of step 1 is too small for {MOST_DIGITS} digits, the most written.")
    if explanation.checks:
        yield Note("checks", pen.prose(explanation.checks))


def _theory(explanation: Explanation, pen: Pen) -> Iterator[Block]:
    for indented, lines in groupby(explanation.theory, lambda line: line.startswith(" ")):
        if indented:
            yield Table(tuple(map(pen.prose, lines)))
        else:
            yield from (Note("theory", pen.prose(line)) for line in lines)


def _settings(worked: Worked, pen: Pen) -> Iterator[str]:
    """The hyperparameters that are on."""
    for hyper in worked.rule.hypers:
        value = worked.h[hyper.name]
        if hyper.name == "decay" and worked.h.get("weight_decay") == 0:
            continue
        if (
            hyper.name == "lr"
            or (value not in (0, None, False, hyper.default))
            or (hyper.is_number and value)
        ):
            yield f"{pen.letter(hyper.letter)} = {pen.setting(value)}"


def _problem(explanation: Explanation, pen: Pen) -> Iterator[Block]:
    problem, start = explanation.problem, explanation.script.start
    facts = [f"{pen.letter(n)} = {pen.value(v, pen.given)}" for n, v in start.items()]
    if problem is None:
        yield Facts(tuple(facts))
        return
    worked = explanation.worked[0]
    value = _value(worked, worked.value, pen)
    facts += [f"{pen.letter(n)} = {pen.value(v, pen.given)}" for n, v in problem.fixed.items()]
    yield Facts((f"f = {pen.function(problem)}", *facts, f"{pen.f_after(0)} = {value}"))
    for name in problem.names:
        if not pen.slope(problem, name)[1]:
            yield Facts(tuple(pen.slopes(problem, name)))


def _work(explanation: Explanation, worked: Worked, t: int, pen: Pen) -> Iterator[Block]:
    step = worked.steps[t - 1]
    for tensor in step.tensors:
        if tensor.lines:
            yield _tensor(explanation, tensor, pen)
    if step.value is not None:
        before = worked.value if t == 1 else worked.steps[t - 2].value
        now, was = _value(worked, step.value, pen), _value(worked, before, pen)
        if pen.numerals.exact and pen.dots in now + was:  # a fraction and a decimal cannot be compared by eye
            now, was = (pen.number(pen.numerals.decimal(x)) for x in (step.value, before))
        yield Note("value", f"{pen.math(f'{pen.f_after(t)} = {now}')}, was {pen.math(was)}")


def _value(worked: Worked, value: Number, pen: Pen) -> str:
    """A value of f, with as many digits as show that the first step changes it."""
    first = worked.steps[0].value if worked.steps else None
    numerals = pen.numerals if first is None else pen.numerals.to_show(worked.value, first)
    return pen.number(numerals.result(value))


def _tensor(explanation: Explanation, tensor: Tensor, pen: Pen) -> Work:
    rows = tuple(write_line(line, tensor, explanation.problem, pen) for line in tensor.lines)
    name = pen.letter(tensor.name)
    return Work(name if tensor.name == "w" else f"w = {name}", rows)


def _marks(explanation: Explanation) -> dict[tuple[int, str, str], int]:
    """(step, tensor, slot) → column, for the first number in which each column parts from the first."""
    marks = {}
    for column, parting in enumerate(explanation.partings, 1):
        if (m := parting.mismatch) is not None:
            marks[m.step, m.name, m.slot] = column
    return marks


def _side(explanation: Explanation, t: int, marks: dict[tuple[int, str, str], int], pen: Pen) -> Side:
    """Set w and the state of every trace after a step beside each other."""
    traces = explanation.traces
    rows: list[tuple[str, tuple[str, ...]]] = []
    marked = None
    for name in explanation.script.names:
        slots = ["w", *dict.fromkeys(s for trace in traces for s in trace.steps[t - 1].state.get(name, {}))]
        for slot in slots:
            entries = tuple(_entry(trace, t, name, slot, pen) for trace in traces)
            if slot == "step" or not any(entries):
                continue
            if (t, name, slot) in marks and marked is None:
                marked = len(rows), marks[t, name, slot]
            label = pen.letter(name) if slot == "w" else f"{_letter(explanation, slot, pen)} {pen.of(name)}"
            rows.append((label, entries))
    values = tuple(
        pen.result(w.steps[t - 1].value) for w in explanation.worked if w.steps[t - 1].value is not None
    )
    if values and len(values) == len(traces):
        rows.append((pen.f_after(t), values))
    labels = [w.rule.name for w in explanation.worked]
    if explanation.recorded is not None:
        labels.append(explanation.recorded.label)
    return Side(tuple(map(pen.prose, labels)), tuple(rows), marked)


def _entry(trace: Trace, t: int, name: str, slot: str, pen: Pen) -> str:
    moment = trace.steps[t - 1]
    if slot == "w":
        return pen.value(moment.w[name])
    value = moment.state.get(name, {}).get(slot)
    return "" if value is None else pen.value(value)


def _letter(explanation: Explanation, slot: str, pen: Pen) -> str:
    for worked in explanation.worked:
        for x in worked.rule.slots:
            if x.name == slot:
                return pen.letter(x.letter)
    return pen.word(slot)


def _parting_work(explanation: Explanation, t: int, pen: Pen) -> Iterator[Block]:
    """Where rules part: that tensor's step worked out under both."""
    shown = set()
    for parting, other in zip(explanation.partings, explanation.worked[1:], strict=False):
        m = parting.mismatch
        if m is None or m.step != t:
            continue
        for worked in (explanation.worked[0], other):
            if (worked.rule.name, m.name) in shown:
                continue
            shown.add((worked.rule.name, m.name))
            tensor = next(x for x in worked.steps[t - 1].tensors if x.name == m.name)
            work = _tensor(explanation, tensor, pen)
            yield Work(f"{work.name} {pen.under(worked.rule.name)}", work.rows)
