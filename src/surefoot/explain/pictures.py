"""Pictures of explanations: the path over f, f and the steps over time, impulse response, map of rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError, unknown
from surefoot.explain.quadratic.quadratic import Quadratic
from surefoot.explain.quadratic.theory import as_momentum
from surefoot.trace.values import exact

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation
    from surefoot.explain.worked import Worked
    from surefoot.plot.style import Picture
    from surefoot.trace import Trace

__all__ = ["PICTURES", "picture"]


def picture(kind: str, *explanations: Explanation) -> Picture:
    """Draw one explanation, or several over each other, named by what differs in them.

    Args:
        kind: "path" (of two variables, over the contours of f), "value" (f over the steps), "over-time"
            (gradient, buffer and step), "impulse" (what one unit gradient does) or "rates" (on a quadratic,
            over lr and momentum).
        explanations: what `explain` returned.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: an unknown kind, one that cannot be drawn of this, or explanations of different f where
            f is drawn.

    Example:
        >>> from surefoot.explain import explain
        >>> bowl = {"f": "x**2 + 9*y**2", "at": {"x": 3, "y": 1}, "lr": 0.05}
        >>> figure = picture("path", explain(**bowl), explain(**bowl, momentum=0.5))
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['momentum 0', 'momentum 0.5', 'last step']
    """
    if kind not in PICTURES:
        raise unknown("picture", kind, PICTURES)
    if not explanations:
        raise InputError("There is no explanation to plot; give at least one.")
    for each in explanations:
        if not hasattr(each, "worked"):
            raise InputError(f"Only explanations are plotted together, from explain(…), not {each!r}.")
    return PICTURES[kind](*explanations)


def path(*explanations: Explanation) -> Picture:
    """Draw w's path over the contours of f."""
    from surefoot.plot.paths import paths

    _same_f("contours", explanations)
    return paths(_traces(explanations))


def value(*explanations: Explanation) -> Picture:
    """Draw f at the start and after each step.

    Raises:
        InputError: the gradients were given, so that there is no f, or there are several.
    """
    from surefoot.plot.values import values

    _same_f("values", explanations)
    runs = {label: [w.value, *(step.value for step in w.steps)] for label, w in _named(explanations).items()}
    if any(x is None for run in runs.values() for x in run):
        raise InputError("Values are drawn of an f, but here the gradients were given.")
    return values(runs)


def over_time(*explanations: Explanation) -> Picture:
    """Draw gradient, buffer and step of the first element, step by step."""
    from surefoot.plot.traces import traces

    return traces(_traces(explanations))


def impulse(*explanations: Explanation) -> Picture:
    """Draw what one unit gradient does to w at each later step, without weight decay."""
    from surefoot.plot.impulse import impulses

    named = _named(explanations)
    return impulses({label: (w.rule, _undecayed(w)) for label, w in named.items()})


def rates(*explanations: Explanation) -> Picture:
    """Draw the rate on a quadratic over lr and momentum, with the optimum and where the rules are.

    Raises:
        InputError: f is no quadratic with a minimum, or a rule is neither classical nor Nesterov momentum.
    """
    from surefoot.plot.rates import rates as draw

    _same_f("rates", explanations)
    problem = explanations[0].problem
    f = Quadratic.of(problem) if problem is not None else None
    if f is None or not f.convex:
        raise InputError("A map of rates requires a quadratic f with a minimum.")
    named = _named(explanations)
    points, kinds = {}, set()
    for label, worked in named.items():
        known = as_momentum(worked.rule, worked.last)
        if known is None:
            raise InputError(
                f"There is no map of rates for {worked.rule.title}: it is not momentum on gradients."
            )
        points[label if len(named) > 1 else "here"] = (
            float(worked.last.lr * known.gain),
            float(worked.last.momentum),
        )
        kinds.add(known.nesterov)
    if len(kinds) > 1:
        raise InputError(
            "Classical and Nesterov momentum have different maps of rates; plot them separately."
        )
    nesterov = kinds.pop()
    best = f.best()[1 if nesterov else 2]
    where = " where f is not flat" if math.isinf(f.condition) else ""
    return draw(
        lambda lr, momentum: f.rate(lr, momentum, nesterov=nesterov),
        largest_lr=(2.4 if nesterov else 4) / f.largest,  # the stable part, and some of what is beyond
        best=(best.lr, best.momentum),
        points=points,
        title=f"{'Nesterov' if nesterov else 'classical'} momentum, κ = {f.largest / f.smallest:.4g}{where}",
    )


# name → how it is drawn
PICTURES: dict[str, Callable[..., Picture]] = {
    "path": path,
    "value": value,
    "over-time": over_time,
    "impulse": impulse,
    "rates": rates,
}


def _undecayed(worked: Worked) -> dict[str, Any]:
    return {name: 0 if name == "weight_decay" else value for name, value in worked.h.items()}


def _same_f(what: str, explanations: tuple[Explanation, ...]) -> None:
    """Refuse explanations of several f, where the picture can show what is drawn of one."""
    problems = [e.problem for e in explanations if e.problem is not None]
    seen = {(p.text.replace(" ", ""), tuple(p.shapes.items())): p.text for p in problems}
    if len(seen) > 1:
        fs = " and ".join(seen.values())
        raise InputError(f"The {what} in one plot must have the same f, but f is {fs}; plot them separately.")


def _traces(explanations: tuple[Explanation, ...]) -> dict[str, Trace]:
    """Return the traces of all rules, and of the optimizers recorded beside them."""
    traces = {label: worked.trace for label, worked in _named(explanations).items()}
    recorded = [e.recorded for e in explanations if e.recorded is not None]
    for i, trace in enumerate(recorded, 1):
        traces[trace.label if len(recorded) == 1 else f"{trace.label} {i}"] = trace
    return traces


def _named(explanations: tuple[Explanation, ...]) -> dict[str, Worked]:
    """Return every rule's work, named by its rule and its hyperparameters where these differ."""
    from surefoot.plot.runs import labels

    works = [worked for explanation in explanations for worked in explanation.worked]
    common = [key for key in works[0].h if all(key in w.h for w in works)]
    if not any(w.h.get("weight_decay") for w in works):  # then it does not matter where it would enter
        common = [key for key in common if key != "decay"]
    settings = [{"rule": w.rule.name, **{key: _short(w.h[key]) for key in common}} for w in works]
    for key in dict.fromkeys(key for w in works for key in _own(w) if key not in common):
        for setting, worked in zip(settings, works, strict=True):  # said where it is on: torch, nesterov
            setting[key] = _short(worked.h[key]) if key in _own(worked) else False
    names = [f"{w.rule.name} {i}" if len(works) > 1 else w.rule.name for i, w in enumerate(works, 1)]
    return dict(zip(labels(names, settings, most=8), works, strict=True))


def _own(worked: Worked) -> list[str]:
    """The hyperparameters that are not as the rule has them by itself."""
    usual = worked.rule.hyper().map(exact)
    return [key for key in worked.h if key != "decay" and worked.h[key] != usual[key]]


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, str)) else f"{float(value):.4g}"
