"""An explanation as data: plain values that JSON holds, and a pandas DataFrame."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError
from surefoot.explain.forms.numerals import all_digits
from surefoot.explain.forms.pen import Pen
from surefoot.explain.forms.written import write_line, write_news
from surefoot.explain.parting import Parting
from surefoot.explain.worked import Tensor, Worked
from surefoot.trace import Trace
from surefoot.trace.values import Number, Value, elements, exact_binary, indices, shape

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["data", "frame"]


def data(explanation: Explanation) -> dict[str, Any]:
    """Give an explanation as dicts, lists, strings and numbers; NaN and infinities become strings.

    With `exact`, every number is a fraction as a string, such as "991/500".
    """
    exact, problem = explanation.numerals.exact, explanation.problem
    return {
        "f": None if problem is None else problem.text,
        "start": {n: _plain(v, exact) for n, v in explanation.script.start.items()},
        "fixed": {} if problem is None else {n: _plain(v, exact) for n, v in problem.fixed.items()},
        "rules": [_worked(explanation, w) for w in explanation.worked],
        "recorded": None if explanation.recorded is None else _recorded(explanation.recorded),
        "partings": [_parting(p, exact) for p in explanation.partings],
        "theory": list(explanation.theory),
        "closing": explanation.closing,
        "checks": explanation.checks,
    }


def _worked(explanation: Explanation, worked: Worked) -> dict[str, Any]:
    exact, pen = explanation.numerals.exact, Pen(explanation.numerals)
    return {
        "rule": worked.rule.name,
        "title": worked.rule.title,
        "hyperparameters": {k: _plain(v, exact) for k, v in worked.h.items()},
        "f": _plain(worked.value, exact),
        "steps": [
            {
                "step": step.number,
                "new": [write_news(news, pen) for news in step.news],
                "tensors": {t.name: _lines(explanation, t, pen) for t in step.tensors if t.lines},
                "f": _plain(step.value, exact),
            }
            for step in worked.steps
        ],
    }


def _lines(explanation: Explanation, tensor: Tensor, pen: Pen) -> list[dict[str, Any]]:
    lines = []
    for line in tensor.lines:
        left, formula, numbers, _ = write_line(line, tensor, explanation.problem, pen)
        value = _plain(line.value, explanation.numerals.exact)
        lines.append(
            {"name": line.name, "symbol": left, "formula": formula, "numbers": numbers, "value": value}
        )
    return lines


def _recorded(trace: Trace) -> dict[str, Any]:
    return {
        "label": trace.label,
        "steps": [
            {
                "step": t,
                "w": {n: _plain(v, False) for n, v in m.w.items()},
                "state": {n: {k: _plain(v, False) for k, v in slots.items()} for n, slots in m.state.items()},
            }
            for t, m in enumerate(trace.steps, 1)
        ],
    }


def _parting(parting: Parting, exact: bool) -> dict[str, Any]:
    m = parting.mismatch
    where = None
    if m is not None:
        where = {
            "step": m.step,
            "tensor": m.name,
            "index": list(m.index),
            "slot": m.slot,
            "first": _plain(m.expected, exact),
            "other": _plain(m.got, exact),
        }
    return {"first": parting.first, "other": parting.other, "where": where, "reason": parting.reason}


def _plain(value: Any, exact: bool) -> Any:
    if isinstance(value, tuple):
        return [_plain(v, exact) for v in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if not exact:
        return _number(value)
    q = exact_binary(value)
    return all_digits(q) if isinstance(q, Fraction) else str(q)


def _number(x: Number) -> float | str:
    number = _float(x)
    return number if math.isfinite(number) else str(number)


def _float(x: Number) -> float:
    """The float nearest to a number, infinite beyond them."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def frame(explanation: Explanation) -> Any:
    """Give an explanation as a DataFrame: a row for each rule (and optimizer), step and element.

    Columns: rule, step, tensor, index, g, each state slot, w; f after the step, where there is an f.
    Numbers are floats.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise InputError("A frame needs pandas, which is not installed; `pip install pandas`.") from None
    rows = [row for worked in explanation.worked for row in _rows(worked.trace, worked.rule.name)]
    if explanation.recorded is not None:
        rows += _rows(explanation.recorded, explanation.recorded.label)
    table = pandas.DataFrame(rows)
    if explanation.problem is not None:
        steps = ((w.rule.name, s) for w in explanation.worked for s in w.steps)
        f = {(rule, s.number): _float(s.value) for rule, s in steps if s.value is not None}
        table["f"] = [f.get((row["rule"], row["step"]), math.nan) for row in rows]
    return table


def _rows(trace: Trace, label: str) -> list[dict[str, Any]]:
    rows = []
    for t, moment in enumerate(trace.steps, 1):
        for name in trace.script.names:
            sizes = shape(moment.w[name])
            slots: dict[str, Value] = {
                k: v for k, v in moment.state.get(name, {}).items() if shape(v) == sizes
            }
            columns = {"g": moment.gradients.get(name), **slots, "w": moment.w[name]}
            flat = {k: None if v is None else list(elements(v)) for k, v in columns.items()}
            for i, index in enumerate(indices(sizes)):
                numbers = {k: math.nan if v is None else _float(v[i]) for k, v in flat.items()}
                rows.append({"rule": label, "step": t, "tensor": name, "index": index, **numbers})
    return rows
