"""The impulse response of a rule: what one unit gradient does to w at each later step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from surefoot.errors import InputError
from surefoot.plot.style import Picture, legend, look, panels, styled
from surefoot.rules import Rule, get

__all__ = ["impulses", "response"]


def response(rule: Rule | str, *, steps: int = 40, after: int = 0, **hypers: Any) -> list[float]:
    r"""Return how far a rule moves w at each step when one gradient is 1 and all others are 0.

    -Δwₜ / lr, for t = 1 … steps: in units of what plain gradient descent would do at once.

    Args:
        rule: the rule or its name.
        steps: how many steps, the one with the gradient included.
        after: how many steps without gradient signal (g = 0) come before it.
        hypers: the rule's hyperparameters; weight decay is 0 unless given.

    Returns:
        One number per step.

    Raises:
        InputError: unknown rule or hyperparameter, no lr or lr 0, or fewer than one step.

    Example:
        >>> [round(x, 3) for x in response("torch", steps=4, lr=0.1, momentum=0.5)]
        [1.0, 0.5, 0.25, 0.125]
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, but an impulse response needs at least 1.")
    rule = get(rule)
    h = rule.hyper(**hypers).map(float)
    if "lr" not in h:
        raise InputError(
            f"The rule {rule.name!r} takes {', '.join(h)}, but no lr, and a response is given in units of lr."
        )
    if not h.lr:
        raise InputError("lr is 0, so nothing would move; give an lr above 0.")
    w, state, moves = 0.0, rule.init(h, 0.0), []
    for t in range(after + steps):
        old = w
        w, state = rule.step(h, w, float(t == after), state)
        moves.append((old - w) / h.lr)
    return moves[after:]


@styled
def impulses(
    rules: Mapping[str, tuple[Rule | str, Mapping[str, Any]]],
    *,
    steps: int = 40,
    after: int = 0,
    measured: Mapping[str, Sequence[float]] | None = None,
) -> Picture:
    """Draw the impulse responses of several rules over each other: each step, and all steps so far.

    Args:
        rules: label → (rule, its hyperparameters).
        steps: how many steps.
        after: how many steps with gradient 0 come before the impulse.
        measured: label → the response of a real optimizer, in the same units; drawn as rings over the lines.

    Returns:
        The figure.

    Raises:
        InputError: see `response`; or no rule at all.

    Example:
        >>> figure = impulses({"momentum 0.9": ("torch", {"lr": 0.1, "momentum": 0.9})})
        >>> len(figure.axes)
        2
    """
    if not rules:
        raise InputError("There is no rule to plot; give at least one.")
    figure, (each, total) = panels(1, 2, width=7.2, height=3.2)

    def draw(label: str, moves: Sequence[float], style: Mapping[str, Any]) -> None:
        numbers = range(1, len(moves) + 1)
        each.plot(numbers, moves, label=label, **style)
        total.plot(numbers, [sum(moves[:t]) for t in numbers], label=label, **style)

    for i, (label, (rule, hypers)) in enumerate(rules.items()):
        moves = response(rule, steps=steps, after=after, **hypers)
        style = look(i, marker=True) | {"markersize": 4, "markevery": _every(steps, i, len(rules))}
        draw(label, moves, style)
    for label, seen in (measured or {}).items():
        rings: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 8}
        rings |= {"color": "black", "fillstyle": "none"}
        draw(label, seen, rings)
    each.set_title("at each step")
    total.set_title("all steps so far")
    each.set_ylabel("−Δw / lr from one unit gradient")
    for panel in (each, total):
        panel.set_xlabel("step (the gradient comes at 1)")
        panel.set_xlim(0.5, steps + 0.5)
        panel.axhline(0, color="black", linewidth=0.6)
    legend(figure, each.get_legend_handles_labels()[0], below=True)
    return figure


def _every(steps: int, index: int, count: int) -> list[int]:
    """Return where a line's markers go: at its start, then spread and set off against the others."""
    gap = max(1, steps // 10)
    return [0, *range(gap + index * gap // count, steps, gap)]
