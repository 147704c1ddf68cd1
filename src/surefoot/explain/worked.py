"""A rule's Trace worked out: each quantity of each step as formula, with numbers put in, as result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surefoot.explain.news import News, find_news
from surefoot.rules import H, Rule
from surefoot.trace import Trace
from surefoot.trace.events import brief
from surefoot.trace.values import Number, Value, build, elements, exact, shape

if TYPE_CHECKING:
    from surefoot.explain.problem.problem import Problem
    from surefoot.rules.formula import Equation

__all__ = ["Line", "Tensor", "Worked", "WorkedStep", "work_out"]


@dataclass(frozen=True)
class Line:
    """One quantity of a step: `left = right`, what its letters stand for, and its value."""

    name: str  # "gradient", a slot, "u" …, "w"
    step: int
    equation: Equation | None  # None for the gradient, which comes from f or is given
    known: Mapping[str, Value]
    scalars: frozenset[str]  # the letters that stand for one number, whatever the tensor's shape
    value: Value

    def __repr__(self) -> str:
        """Short: what it is of, and its value."""
        return f"<Line: {self.name} of step {self.step} = {brief(self.value)}>"


@dataclass(frozen=True)
class Tensor:
    """What one step did to one tensor; no lines if it had no gradient."""

    name: str
    lines: tuple[Line, ...]
    point: Mapping[str, Value]  # where f was differentiated

    def __repr__(self) -> str:
        """Short: its name, and what was worked out."""
        return f"<Tensor {self.name}: {', '.join(line.name for line in self.lines) or 'no gradient'}>"


@dataclass(frozen=True)
class WorkedStep:
    """One step: its tensors, what is new in it, f at its end (None without f)."""

    number: int
    tensors: tuple[Tensor, ...]
    news: tuple[News, ...]
    value: Number | None

    def __repr__(self) -> str:
        """Short: which step, of which tensors."""
        return f"<WorkedStep {self.number}: {', '.join(tensor.name for tensor in self.tensors)}>"


@dataclass(frozen=True)
class Worked:
    """A rule on a script, worked out.

    Args:
        rule: the rule.
        h: its hyperparameters at the first step.
        last: those at the last.
        trace: what it made of the script.
        steps: each worked out.
        value: f at the start; None without f.
    """

    rule: Rule
    h: H
    last: H
    trace: Trace
    steps: tuple[WorkedStep, ...]
    value: Number | None

    def __repr__(self) -> str:
        """Short: whose steps, and how many."""
        return f"<Worked {self.rule.name}: {len(self.steps)} step{'' if len(self.steps) == 1 else 's'}>"


def work_out(
    rule: Rule, trace: Trace, problem: Problem | None, number: Any, values: tuple[Number | None, ...]
) -> Worked:
    """Work out a rule's trace.

    Args:
        rule: the rule that made the trace.
        trace: from `replay`.
        problem: what was differentiated; None if the gradients were given.
        number: the kind of number that the trace is in.
        values: f at the start and after each step; None without a problem.

    Returns:
        Every quantity of every step, ready to be written.
    """
    script = trace.script
    equations = _Equations(rule)
    steps: list[WorkedStep] = []
    for t, moment in enumerate(trace.steps, 1):
        hypers = [_hypers(rule, o) for o in moment.options]
        tensors = []
        for name in script.names:
            if name not in moment.gradients or script.groups[script.group_of(name)].joins > t:
                tensors.append(Tensor(name, (), {}))
                continue
            h = hypers[script.group_of(name)]
            state = trace.state_before(t).get(name)
            lines = _lines(rule, equations, h, number, t, moment.before[name], moment.gradients[name], state)
            point = problem.everything({n: moment.point[n] for n in script.names}) if problem else {}
            tensors.append(Tensor(name, lines, point))
        news = find_news(script, t, rule, tensors, steps)
        if problem is not None:
            bent = problem.kinks(moment.point, number)
            news += tuple(News("corner", part.text, new=part.op) for part in bent)
        steps.append(WorkedStep(t, tuple(tensors), news, values[t]))
    ends = [trace.steps[i].options[0] if trace.steps else script.groups[0].options for i in (0, -1)]
    first, last = (_hypers(rule, options) for options in ends)
    return Worked(rule, first, last, trace, tuple(steps), values[0])


def _hypers(rule: Rule, options: Mapping[str, Any]) -> H:
    return rule.hyper(**options).map(exact)


class _Equations:
    """The equations of a rule for each combination of options and missing slots, made once."""

    def __init__(self, rule: Rule) -> None:
        from surefoot.rules.table import RULES

        self.rule, self.built_in = rule, rule.formula in {x.formula for x in RULES.values()}
        self.made: dict[Any, tuple[list[Equation], frozenset[str]]] = {}

    def of_step(
        self, h: H, computing: H, ws: list[Any], gs: list[Any], states: list[Any]
    ) -> tuple[list[Equation], frozenset[str]]:
        """The equations of this very step, and the letters that stand for one number."""
        if self.built_in:
            return self.of(h, states[0])
        from surefoot.rules.taken import blank, step_formulas

        each = zip(ws, gs, states, strict=True)
        first, *others = ([*step_formulas(self.rule, computing, w, g, s)] for w, g, s in each)
        for other in others:  # where elements take branches of their own, no formula is all of theirs
            first = [a if a.right == b.right else blank(a) for a, b in zip(first, other, strict=True)]
        return first, self._scalars(first)

    def of(self, h: H, state: Mapping[str, Any]) -> tuple[list[Equation], frozenset[str]]:
        """The equations, and the letters that stand for one number."""
        key = (tuple(h.items()), tuple(v is None for v in state.values()))
        if key not in self.made:
            found = self.rule.formulas(h, state)
            self.made[key] = found, self._scalars(found)
        return self.made[key]

    def _scalars(self, equations: list[Equation]) -> frozenset[str]:
        """Letters that no element of w or g enters: hyperparameters, step counts and their functions."""
        unsaid = {e.left.name for e in equations if e.right == e.left and e.left.name != "t"}
        vectors = {"wₜ₋₁", "gₜ"} | unsaid | {x + "₋₁" for x in unsaid}
        letters = {x.name for e in equations for x in e.right.free_symbols | e.left.free_symbols}
        while True:
            more = set()
            for e in equations:
                if any(x.name in vectors for x in e.right.free_symbols):
                    now = e.left.name
                    more |= {now, now + "₋₁" if now.endswith("ₜ") else now}
            if more <= vectors:
                return frozenset(letters | {x.letter for x in self.rule.hypers}) - vectors
            vectors |= more


def _lines(
    rule: Rule, equations: _Equations, h: H, number: Any, t: int, w: Value, g: Value, state: Any
) -> tuple[Line, ...]:
    """Work out one tensor's step: each line for all its elements."""
    sizes, ws, gs = shape(w), list(elements(w)), list(elements(g))
    slots = {slot: list(elements(v)) for slot, v in (state or {}).items()}
    computing = h.map(lambda x: number(exact(x)))
    rows, states = [], []
    for i, (x, d) in enumerate(zip(ws, gs, strict=True)):
        s = rule.init(computing, x)
        s.update({slot: v[i] for slot, v in slots.items()})
        states.append(s)
        rows.append([line.value for line in rule.lines(computing, x, d, s)])
    if not rows:
        return ()
    found, scalars = equations.of_step(h, computing, ws, gs, states)
    known: dict[str, Value] = {x.letter: h[x.name] for x in rule.hypers}
    known |= {"wₜ₋₁": w, "gₜ": g}
    for x in rule.slots:
        before = [s[x.name] for s in states]
        known[f"{x.letter}ₜ₋₁"] = before[0] if f"{x.letter}ₜ₋₁" in scalars else build(sizes, before)
    from surefoot.rules.formula import lookahead

    if "t" in (counted := {e.left.name: row for e, row in zip(found, rows[0], strict=True)}):
        known["t"] = counted["t"]  # lines before its own may speak of it
    lines = []
    if ahead := lookahead(rule):
        point = [rule.point(computing, x, s) for x, s in zip(ws, states, strict=True)]
        lines.append(Line("point", t, ahead, dict(known), scalars, build(sizes, point)))
    lines.append(Line("gradient", t, None, {}, scalars, g))
    for e, *column in zip(found, *rows, strict=True):
        scalar = e.left.name in scalars
        value = column[0] if scalar else build(sizes, column)
        if e.name != "step":  # it counts; the formulas have its number put in
            lines.append(Line(e.name, t, e, dict(known), scalars, value))
        known[e.left.name] = value
    return tuple(lines)
