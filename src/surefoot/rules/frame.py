"""What every rule has in common around its own formula: maximize, and weight decay in its six places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surefoot.rules.hyper import H
from surefoot.rules.numbers import zero

if TYPE_CHECKING:
    from surefoot.rules.rule import Formula, Rule, State

__all__ = ["in_frame"]


def in_frame(rule: Rule, h: H, w: Any, g: Any, s: State) -> Formula:
    """A rule's formula within the frame; alone, where the rule has one of these of its own."""
    if not rule.framed:
        return (yield "w", (yield from rule.formula(h, w, g, s)))
    if h.maximize:
        g = yield "ascent", -g
    if zero(h.weight_decay):
        return (yield "w", (yield from rule.formula(h, w, g, s)))
    old, decay = w, h.decay
    if decay == "l2":
        g = yield "d", g + h.weight_decay * rule.point(h, w, s)
    elif decay == "decoupled":
        w = yield "w_decayed", w - h.lr * h.weight_decay * w
    elif decay == "no_lr":
        w = yield "w_decayed", w - h.weight_decay * w
    elif decay == "corrected":
        w = yield "w_decayed", w - h.lr * h.lr / h.lr_max * h.weight_decay * w
    w = yield from rule.formula(h, w, g, s)
    if decay == "after_momentum":
        w = yield "w_stepped", w
        w = w - h.lr * h.weight_decay * old
    elif decay == "after_step":
        w = yield "w_stepped", w
        w = w - h.lr * h.weight_decay * w
    return (yield "w", w)
