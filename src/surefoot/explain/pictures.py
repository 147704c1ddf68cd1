"""Pictures of an explanation, drawn by surefoot.plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError
from surefoot.explain.momentum import without_momentum
from surefoot.trace import Trace, replay

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation

__all__ = ["PICTURES"]


def path(explanation: Explanation) -> Any:
    """Draw w's path over the contours of f; of one rule also without its momentum."""
    from surefoot.plot.paths import paths

    return paths(_runs(explanation))


def over_time(explanation: Explanation) -> Any:
    """Draw gradient, buffer and step of the first element, step by step."""
    from surefoot.plot.traces import traces

    return traces(_runs(explanation))


def impulse(explanation: Explanation) -> Any:
    """Draw what one unit gradient does to w at each later step."""
    from surefoot.plot.impulse import impulses

    rules = {w.rule.name: (w.rule, {**dict(w.h), "weight_decay": 0}) for w in explanation.worked}
    return impulses(rules, steps=max(20, len(explanation.script.steps)))


def rates(explanation: Explanation) -> Any:
    """Draw the rate on a quadratic over lr and momentum.

    Raises:
        InputError: f is not a quadratic with a minimum.
    """
    from surefoot.explain.quadratic import Quadratic
    from surefoot.plot.rates import rates as draw

    quadratic = Quadratic.of(explanation.problem) if explanation.problem is not None else None
    if quadratic is None or not quadratic.convex:
        raise InputError(
            "The rates over lr and momentum are known for a quadratic f with a minimum; this is none."
        )
    worked = explanation.worked[0]
    nesterov = bool(worked.h.get("nesterov", False))
    method = "Nesterov" if nesterov else "heavy ball"
    best = next(x for x in quadratic.best() if x.method == method)
    here = {"here": (float(worked.h["lr"]), float(worked.h["momentum"]))} if "momentum" in worked.h else None

    def rate(lr: Any, momentum: Any) -> Any:
        return quadratic.rate(lr, momentum, nesterov=nesterov)

    title = "Nesterov's momentum" if nesterov else "classical momentum"
    return draw(
        rate, largest_lr=4 / quadratic.largest, best=(best.lr, best.momentum), points=here, title=title
    )


def _runs(explanation: Explanation) -> dict[str, Trace]:
    runs = {trace.label: trace for trace in explanation.traces}
    worked = explanation.worked[0]
    if len(runs) == 1 and worked.h.get("momentum", 0) != 0:
        without = replay(without_momentum(worked.trace.script, "momentum"), worked.rule, float)
        runs["without momentum"] = without
    return runs


# name → how it is drawn
PICTURES: dict[str, Callable[[Explanation], Any]] = {
    "path": path,
    "over-time": over_time,
    "impulse": impulse,
    "rates": rates,
}
