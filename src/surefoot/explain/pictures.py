"""Pictures of explanations: the path over f, its steps over time, the impulse response, the map of rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.errors import InputError, unknown
from surefoot.explain.quadratic import Quadratic
from surefoot.explain.theory import as_momentum

if TYPE_CHECKING:
    from surefoot.explain.explanation import Explanation
    from surefoot.explain.worked import Worked
    from surefoot.plot.style import Picture

__all__ = ["PICTURES", "picture"]


def picture(kind: str, *explanations: Explanation) -> Picture:
    """Draw one explanation, or several over each other, named by what differs in them.

    Args:
        kind: "path" (of two variables, over the contours of f), "steps" (gradient, buffer and step over
            time), "impulse" (what one unit gradient does) or "rates" (on a quadratic, over lr and momentum).
        explanations: what `explain` returned.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: an unknown kind, or one that cannot be drawn of this.

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
        raise InputError("There is no explanation to draw; give at least one.")
    return PICTURES[kind](explanations)


def _path(explanations: Sequence[Explanation]) -> Picture:
    from surefoot.plot.paths import paths

    return paths({label: worked.trace for label, worked in _named(explanations).items()})


def _steps(explanations: Sequence[Explanation]) -> Picture:
    from surefoot.plot.traces import traces

    return traces({label: worked.trace for label, worked in _named(explanations).items()})


def _impulse(explanations: Sequence[Explanation]) -> Picture:
    from surefoot.plot.impulse import impulses

    return impulses({label: (worked.rule, dict(worked.h)) for label, worked in _named(explanations).items()})


def _rates(explanations: Sequence[Explanation]) -> Picture:
    from surefoot.plot.rates import rates

    problem = explanations[0].problem
    f = Quadratic.of(problem) if problem is not None else None
    if f is None or not f.convex:
        raise InputError("A map of rates needs an f that is quadratic and has a minimum.")
    points, kinds = {}, set()
    for label, worked in _named(explanations).items():
        known = as_momentum(worked.rule, worked.h)
        if known is None:
            raise InputError(
                f"There is no map of rates for {worked.rule.title}; it is no plain or Nesterov momentum."
            )
        points[label] = (float(worked.h.lr * known.gain), float(worked.h.momentum))
        kinds.add(known.nesterov)
    if len(kinds) > 1:
        raise InputError("Plain and Nesterov momentum have different maps of rates; draw them apart.")
    nesterov = kinds.pop()
    best = f.best()[1 if nesterov else 2]
    limit = 4 / f.largest  # where momentum 1 turns unstable; with Nesterov even sooner
    return rates(
        lambda lr, momentum: f.rate(lr, momentum, nesterov=nesterov),
        largest_lr=limit * (0.6 if nesterov else 1),
        best=(best.lr, best.momentum),
        points=points,
        title=f"{best.method}, κ = {f.condition:.4g}",
    )


PICTURES: dict[str, Callable[[Sequence[Explanation]], Picture]] = {
    "path": _path,
    "steps": _steps,
    "impulse": _impulse,
    "rates": _rates,
}


def _named(explanations: Sequence[Explanation]) -> dict[str, Worked]:
    """Return every rule's work, named by its rule and its hyperparameters where these differ."""
    from surefoot.plot.runs import labels

    works = [worked for explanation in explanations for worked in explanation.worked]
    common = [key for key in works[0].h if all(key in w.h for w in works)]
    if not any(w.h.get("weight_decay") for w in works):
        common = [
            key for key in common if key != "decay"
        ]  # without decay it does not matter where it would enter
    settings = [{"rule": w.rule.name, **{key: _short(w.h[key]) for key in common}} for w in works]
    names = [f"{w.rule.name} {i}" if len(works) > 1 else w.rule.name for i, w in enumerate(works, 1)]
    return dict(zip(labels(names, settings), works, strict=True))


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, str)) else f"{float(value):.4g}"
