"""Known mistakes in the formulas of Adamax, RMSprop, Adagrad and Lion; see mistakes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.check.known import slots
from surefoot.check.known.means import BESIDES, CLAMPED, CONSTANTS, UPHILL, mixed, root, swapped, whole
from surefoot.rules import Rule, rule
from surefoot.rules.numbers import maximum, sign, sqrt

__all__ = ["ADAGRAD_MISTAKES", "ADAMAX_MISTAKES", "LION_MISTAKES", "RMSPROP_MISTAKES"]


def _ratio(d: Any, v: Any, eps: Any) -> Any:
    return d / (sqrt(v) + eps)


def _rmsprop(
    name: str,
    mistake: str,
    ratio: Callable[..., Any] = _ratio,
    *,
    means: tuple[Callable[..., Any], Callable[..., Any]] = (mixed, mixed),
    squares: Callable[[Any], Any] = lambda d: d**2,
    reads_old: bool = False,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots=slots.RMSPROP)
    def rmsprop(w, d, v=0, a=0, b=0, *, lr, alpha, eps, momentum, centered):  # type: ignore[no-untyped-def]
        old = (v - a**2 if centered else v) + 0 * d  # a number of d's kind, which a start of 0 is not
        v = yield "v", means[0](alpha, v, squares(d))
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
    _rmsprop("not stored", "the mean of squares restarts at each step: it is not stored",
             means=(lambda share, v, d: (1 - share) * d, mixed)),
    _rmsprop("whole", "the square is added to its mean without the factor 1 − α", means=(whole, mixed)),
    _rmsprop("swapped", "α and 1 − α are swapped", means=(swapped, swapped)),
    _rmsprop("no square", "the mean averages gradients that are not squared",
             lambda d, v, eps: d / (root(v) + eps), squares=lambda d: d),
    _rmsprop("squared late", "the mean of gradients is squared; it should be a mean of squares",
             lambda d, v, eps: d / (abs(v) + eps), squares=lambda d: d),
    _rmsprop("clamped", CLAMPED, lambda d, v, eps: d / maximum(sqrt(v), eps)),
    _rmsprop("old mean", "the step divides by the mean of squares from before its update", reads_old=True),
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
    _lion("mean first", "the mean is updated before the step reads it, so the gradient enters twice",
          lambda d, m, b1, b2: mixed(b2, m, d), lambda d, m, new, b1, b2: sign(mixed(b1, new, d))),
    _lion("swapped", "the two betas are swapped: the first is used for the mean, the second for the step",
          lambda d, m, b1, b2: mixed(b1, m, d), lambda d, m, new, b1, b2: sign(mixed(b2, m, d))),
    _lion("β₁ alone", "the mean uses the first beta instead of the second",
          lambda d, m, b1, b2: mixed(b1, m, d), lambda d, m, new, b1, b2: sign(mixed(b1, m, d))),
    _lion("no sign", "the sign is not taken: the step is as large as the mean",
          lambda d, m, b1, b2: mixed(b2, m, d), lambda d, m, new, b1, b2: mixed(b1, m, d)),
    _lion("uphill", UPHILL,
          lambda d, m, b1, b2: mixed(b2, m, d), lambda d, m, new, b1, b2: -sign(mixed(b1, m, d))),
)  # fmt: skip


def _adagrad(
    name: str,
    mistake: str,
    ratio: Callable[..., Any] = _ratio,
    *,
    age: int = 0,
    reads_old: bool = False,
    keeps: Callable[[Any, Any], Any] = lambda v, d: v + d**2,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots={"t": "step", "v": "sum"})
    def adagrad(w, d, t=0, v="initial_accumulator_value", *, lr, lr_decay, initial_accumulator_value, eps):  # type: ignore[no-untyped-def]
        t = yield "t", t + 1
        old = v + 0 * d  # a number of d's kind, which a start of 0 is not
        v = yield "v", keeps(v, d)
        return w - lr / (1 + (t - 1 + age) * lr_decay) * ratio(d, old if reads_old else v, eps)

    return adagrad


ADAGRAD_MISTAKES = (
    _adagrad("late", "lr_decay counts one step too many: the first step's learning rate is already reduced",
             age=1),
    _adagrad("no root", "the root of the sum of squares is left out", lambda d, v, eps: d / (v + eps)),
    _adagrad("not stored", "the sum of squares restarts at each step: it is not stored",
             keeps=lambda v, d: 0 * v + d**2),
    _adagrad("old sum", "the step divides by the sum of squares from before its update, which is 0 at first",
             reads_old=True),
    _adagrad("no square", "the sum adds gradients that are not squared",
             lambda d, v, eps: d / (root(v) + eps), keeps=lambda v, d: v + d),
    _adagrad("clamped", CLAMPED, lambda d, v, eps: d / maximum(sqrt(v), eps)),
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
