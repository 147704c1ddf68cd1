"""Known mistakes in the formulas of Adam, Adamax, RMSprop, Adagrad and Lion; see mistakes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.check import slots
from surefoot.rules import Rule, rule
from surefoot.rules.numbers import maximum, sign, sqrt

__all__ = [
    "ADAGRAD_MISTAKES",
    "ADAMAX_MISTAKES",
    "ADAM_MISTAKES",
    "LION_MISTAKES",
    "RMSPROP_MISTAKES",
    "UPHILL",
]

CONSTANTS = (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)  # what is usual for ε, put in a second time as a number
UPHILL = "the step goes uphill: it is added, not subtracted"
BESIDES = "a constant of {:g} is added under the root, besides ε"


def _root(m: Any, v: Any, c1: Any, c2: Any, eps: Any) -> Any:
    return m / c1 / (sqrt(v / c2) + eps)


def _mixed(share: Any, m: Any, d: Any) -> Any:
    return share * m + (1 - share) * d


def _whole(share: Any, m: Any, d: Any) -> Any:
    return share * m + d


def _adam(
    name: str,
    mistake: str,
    step: Callable[..., Any] = _root,
    *,
    swapped: bool = False,
    ages: Callable[[Any], tuple[Any, Any]] = lambda t: (t, t),
    means: tuple[Callable[..., Any], Callable[..., Any]] = (_mixed, _mixed),
    squares: Callable[[Any, Any], Any] = lambda d, m: d**2,
    stored: bool = False,
    largest: Callable[[Any, Any, Any], Any] = lambda old, new, t: new,
    scaled: bool = False,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots=slots.ADAM)
    def adam(w, d, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad):  # type: ignore[no-untyped-def]
        if swapped:
            beta1, beta2 = beta2, beta1
        t = yield "t", t + 1
        first, second = ages(t)
        c1, c2 = 1 - beta1**first, 1 - beta2**second
        m = means[0](beta1, m, d)
        v = means[1](beta2, v, squares(d, m))
        if stored:
            m, v, c1, c2 = m / c1, v / c2, 1, 1
        yield "m", m
        yield "v", v
        if amsgrad:
            old = v_max + 0 * v  # a number of v's kind, which a start of 0 is not
            v_max = yield "v_max", maximum(v_max, v)
            v = largest(old, v_max, t)
        return w - lr * step(m, v, c1, c2, lr * eps if scaled else eps)

    return adam


def _adam_turned(name: str, mistake: str, *, decoupled: bool) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots=slots.ADAM)
    def adam(w, g, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad, weight_decay, maximize):  # type: ignore[no-untyped-def]
        turn = -1 if maximize else 1
        d = turn * (g if decoupled else g + weight_decay * w)
        t = yield "t", t + 1
        m = yield "m", beta1 * m + (1 - beta1) * d
        v = yield "v", beta2 * v + (1 - beta2) * d**2
        if amsgrad:
            v = yield "v_max", maximum(v_max, v)
        if decoupled:
            w = w - turn * lr * weight_decay * w
        return w - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    return adam


ADAM_MISTAKES = (
    _adam("ε inside", "ε is added under the root", lambda m, v, c1, c2, eps: m / c1 / sqrt(v / c2 + eps)),
    _adam("uncorrected", "the bias corrections are left out", lambda m, v, c1, c2, eps: m / (sqrt(v) + eps)),
    _adam("uncorrected m", "the first moment's bias correction is left out",
          lambda m, v, c1, c2, eps: m / (sqrt(v / c2) + eps)),
    _adam("uncorrected v", "the second moment's bias correction is left out",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v) + eps)),
    _adam("β₁ for v", "the second moment's bias correction takes β₁ for β₂",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v / c1) + eps)),
    _adam("β₂ for m", "the first moment's bias correction takes β₂ for β₁",
          lambda m, v, c1, c2, eps: m / c2 / (sqrt(v / c2) + eps)),
    _adam("no root", "the second moment's root is left out",
          lambda m, v, c1, c2, eps: m / c1 / (v / c2 + eps)),
    _adam("correction unrooted", "the second moment's bias correction stands outside its root",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v) / c2 + eps)),
    _adam("multiplied", "the means are multiplied by their bias corrections, where they should be divided",
          lambda m, v, c1, c2, eps: m * c1 / (sqrt(v * c2) + eps)),
    _adam("whole", "gradient and square enter their means whole, not times 1 − β₁ and 1 − β₂",
          means=(_whole, _whole)),
    _adam("whole d", "the gradient enters its mean whole, not times 1 − β₁", means=(_whole, _mixed)),
    _adam("whole d²", "the square enters its mean whole, not times 1 − β₂", means=(_mixed, _whole)),
    _adam("no square", "the second mean is of gradients that are not squared", squares=lambda d, m: d),
    _adam("m²", "the second mean is of the squares of the first, not of the gradients'",
          squares=lambda d, m: m**2),
    _adam("corrected, stored", "the means are stored bias-corrected, and the next step goes on from those",
          stored=True),
    _adam("uphill", UPHILL, lambda m, v, c1, c2, eps: -_root(m, v, c1, c2, eps)),
    _adam("swapped", "the two betas are swapped: the first is taken for the squares, the second for the mean",
          swapped=True),
    _adam("old largest", "AMSGrad divides by the largest mean from before the step",
          largest=lambda old, new, t: new if t == 1 else old),
    _adam("old largest, from 0", "AMSGrad divides by the largest mean from before the step",
          largest=lambda old, new, t: old),
    _adam("ε lr", "ε is multiplied by the learning rate", scaled=True),
    _adam_turned("decay turned", "maximize turns the sign of the weight decay too", decoupled=False),
    _adam_turned("decoupled decay turned", "maximize turns the sign of the weight decay too: weights grow",
                 decoupled=True),
    _adam("late", "both bias corrections count one step too many", ages=lambda t: (t + 1, t + 1)),
    _adam("late m", "the first moment's bias correction counts one step too many",
          ages=lambda t: (t + 1, t)),
    _adam("late v", "the second moment's bias correction counts one step too many",
          ages=lambda t: (t, t + 1)),
    *(_adam(f"{x:g} inside", BESIDES.format(x),
            lambda m, v, c1, c2, eps, x=x: m / c1 / (sqrt(v / c2 + x) + eps)) for x in CONSTANTS),
)  # fmt: skip


def _swapped(share: Any, m: Any, d: Any) -> Any:
    return _mixed(1 - share, m, d)


def _ratio(d: Any, v: Any, eps: Any) -> Any:
    return d / (sqrt(v) + eps)


def _rmsprop(
    name: str,
    mistake: str,
    ratio: Callable[..., Any] = _ratio,
    *,
    means: tuple[Callable[..., Any], Callable[..., Any]] = (_mixed, _mixed),
    reads_old: bool = False,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots=slots.RMSPROP)
    def rmsprop(w, d, v=0, a=0, b=0, *, lr, alpha, eps, momentum, centered):  # type: ignore[no-untyped-def]
        old = (v - a**2 if centered else v) + 0 * d  # a number of d's kind, which a start of 0 is not
        v = yield "v", means[0](alpha, v, d**2)
        if centered:
            a = yield "a", means[1](alpha, a, d)
            v = v - a**2
        if reads_old:
            v = old
        u = ratio(d, v, eps)
        b = yield "b", momentum * b + u
        return w - lr * b

    return rmsprop


RMSPROP_MISTAKES = (
    _rmsprop("no root", "the root of the mean of squares is left out", lambda d, v, eps: d / (v + eps)),
    _rmsprop("uphill", UPHILL, lambda d, v, eps: -d / (sqrt(v) + eps)),
    _rmsprop("not stored", "the mean of squares starts anew at each step: it is not stored",
             means=(lambda share, v, d: (1 - share) * d, _mixed)),
    _rmsprop("whole", "the square enters its mean whole, not times 1 − α", means=(_whole, _mixed)),
    _rmsprop("swapped", "α and 1 − α are swapped", means=(_swapped, _swapped)),
    _rmsprop("old mean", "the step divides by the mean of squares from before it", reads_old=True),
    *(_rmsprop(f"{x:g} inside", BESIDES.format(x), lambda d, v, eps, x=x: d / (sqrt(v + x) + eps))
      for x in CONSTANTS),
)  # fmt: skip


def _lion(name: str, mistake: str, mean: Callable[..., Any], update: Callable[..., Any]) -> Rule:
    @rule(name=name, mistake=mistake, slots={"m": "exp_avg"}, decay="decoupled")
    def lion(w, d, m=0, *, lr, beta1, beta2):  # type: ignore[no-untyped-def]
        new = yield "m", mean(d, m, beta1, beta2)
        return w - lr * update(d, m, new, beta1, beta2)

    return lion


LION_MISTAKES = (
    _lion("mean first", "the mean is updated before the step reads it, so the gradient counts twice",
          lambda d, m, b1, b2: _mixed(b2, m, d), lambda d, m, new, b1, b2: sign(_mixed(b1, new, d))),
    _lion("swapped", "the two betas are swapped: the first is taken for the mean, the second for the step",
          lambda d, m, b1, b2: _mixed(b1, m, d), lambda d, m, new, b1, b2: sign(_mixed(b2, m, d))),
    _lion("β₁ alone", "the mean is made with the first beta, where the second belongs",
          lambda d, m, b1, b2: _mixed(b1, m, d), lambda d, m, new, b1, b2: sign(_mixed(b1, m, d))),
    _lion("no sign", "the sign is not taken: the step is as large as the mean",
          lambda d, m, b1, b2: _mixed(b2, m, d), lambda d, m, new, b1, b2: _mixed(b1, m, d)),
    _lion("uphill", UPHILL,
          lambda d, m, b1, b2: _mixed(b2, m, d), lambda d, m, new, b1, b2: -sign(_mixed(b1, m, d))),
)  # fmt: skip


def _adagrad(
    name: str,
    mistake: str,
    ratio: Callable[..., Any] = _ratio,
    *,
    age: int = 0,
    keeps: Callable[[Any, Any], Any] = lambda v, d: v + d**2,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots={"t": "step", "v": "sum"})
    def adagrad(w, d, t=0, v="initial_accumulator_value", *, lr, lr_decay, initial_accumulator_value, eps):  # type: ignore[no-untyped-def]
        t = yield "t", t + 1
        v = yield "v", keeps(v, d)
        return w - lr / (1 + (t - 1 + age) * lr_decay) * ratio(d, v, eps)

    return adagrad


ADAGRAD_MISTAKES = (
    _adagrad("late", "lr_decay counts one step too many: the first step's learning rate is smaller already",
             age=1),
    _adagrad("no root", "the root of the sum of squares is left out", lambda d, v, eps: d / (v + eps)),
    _adagrad("not stored", "the sum of squares starts anew at each step: it is not stored",
             keeps=lambda v, d: 0 * v + d**2),
    _adagrad("uphill", UPHILL, lambda d, v, eps: -d / (sqrt(v) + eps)),
)  # fmt: skip


def _adamax(name: str, mistake: str, *, corrected: bool = True, sign: int = 1, after: bool = False) -> Rule:
    @rule(name=name, mistake=mistake, slots=slots.ADAMAX)
    def adamax(w, d, t=0, m=0, v=0, *, lr, beta1, beta2, eps):  # type: ignore[no-untyped-def]
        t = yield "t", t + 1
        m = yield "m", beta1 * m + (1 - beta1) * d
        v = yield "v", maximum(beta2 * v, abs(d) + (0 if after else eps))
        return w - sign * lr / ((1 - beta1**t) if corrected else 1) * m / (v + (eps if after else 0))

    return adamax


ADAMAX_MISTAKES = (
    _adamax("uncorrected", "the bias correction is left out", corrected=False),
    _adamax("uncorrected, ε after", "the bias correction is left out", corrected=False, after=True),
    _adamax("uphill", UPHILL, sign=-1),
)
