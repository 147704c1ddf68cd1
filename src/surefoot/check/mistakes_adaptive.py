"""Known mistakes in the formulas of Adam and RMSprop; see mistakes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.rules import Rule, rule
from surefoot.rules.numbers import sqrt

__all__ = ["ADAM_MISTAKES", "RMSPROP_MISTAKES"]

CONSTANTS = (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)  # what is usual for ε, put in a second time as a number
BESIDES = "a constant of {:g} is added under the root, besides ε"


def _root(m: Any, v: Any, c1: Any, c2: Any, eps: Any) -> Any:
    return m / c1 / (sqrt(v / c2) + eps)


def _adam(
    name: str,
    mistake: str,
    step: Callable[..., Any] = _root,
    *,
    swapped: bool = False,
    ages: Callable[[Any], tuple[Any, Any]] = lambda t: (t, t),
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake,
          slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq"})  # fmt: skip
    def adam(w, d, t=0, m=0, v=0, *, lr, beta1, beta2, eps):  # type: ignore[no-untyped-def]
        if swapped:
            beta1, beta2 = beta2, beta1
        t = yield "t", t + 1
        m = yield "m", beta1 * m + (1 - beta1) * d
        v = yield "v", beta2 * v + (1 - beta2) * d**2
        first, second = ages(t)
        return w - lr * step(m, v, 1 - beta1**first, 1 - beta2**second, eps)

    return adam


ADAM_MISTAKES = (
    _adam("ε inside", "ε is added under the root", lambda m, v, c1, c2, eps: m / c1 / sqrt(v / c2 + eps)),
    _adam("ε before correction", "ε is added before the bias correction of the second moment",
          lambda m, v, c1, c2, eps: m / c1 * sqrt(c2) / (sqrt(v) + eps)),
    _adam("uncorrected", "the bias corrections are left out", lambda m, v, c1, c2, eps: m / (sqrt(v) + eps)),
    _adam("uncorrected m", "the first moment's bias correction is left out",
          lambda m, v, c1, c2, eps: m / (sqrt(v / c2) + eps)),
    _adam("uncorrected v", "the second moment's bias correction is left out",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v) + eps)),
    _adam("no root", "the second moment's root is left out",
          lambda m, v, c1, c2, eps: m / c1 / (v / c2 + eps)),
    _adam("uphill", "the step goes uphill: it is added, not subtracted",
          lambda m, v, c1, c2, eps: -_root(m, v, c1, c2, eps)),
    _adam("swapped", "the two betas are swapped: the first is taken for the squares, the second for the mean",
          swapped=True),
    _adam("late", "both bias corrections count one step too many", ages=lambda t: (t + 1, t + 1)),
    _adam("late m", "the first moment's bias correction counts one step too many",
          ages=lambda t: (t + 1, t)),
    _adam("late v", "the second moment's bias correction counts one step too many",
          ages=lambda t: (t, t + 1)),
    *(_adam(f"{x:g} inside", BESIDES.format(x),
            lambda m, v, c1, c2, eps, x=x: m / c1 / (sqrt(v / c2 + x) + eps)) for x in CONSTANTS),
)  # fmt: skip


def _rmsprop(name: str, mistake: str, ratio: Callable[..., Any]) -> Rule:
    @rule(name=name, exact=False, mistake=mistake,
          slots={"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"})  # fmt: skip
    def rmsprop(w, d, v=0, a=0, b=0, *, lr, alpha, eps, momentum, centered):  # type: ignore[no-untyped-def]
        v = yield "v", alpha * v + (1 - alpha) * d**2
        if centered:
            a = yield "a", alpha * a + (1 - alpha) * d
            v = v - a**2
        u = ratio(d, v, eps)
        b = yield "b", momentum * b + u
        return w - lr * b

    return rmsprop


RMSPROP_MISTAKES = (
    _rmsprop("ε inside", "ε is added under the root, as in TensorFlow", lambda d, v, eps: d / sqrt(v + eps)),
    _rmsprop("no root", "the root of the mean of squares is left out", lambda d, v, eps: d / (v + eps)),
    _rmsprop("uphill", "the step goes uphill: it is added, not subtracted",
             lambda d, v, eps: -d / (sqrt(v) + eps)),
    *(_rmsprop(f"{x:g} inside", BESIDES.format(x), lambda d, v, eps, x=x: d / (sqrt(v + x) + eps))
      for x in CONSTANTS),
)  # fmt: skip
