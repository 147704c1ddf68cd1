"""Known mistakes in the formula of Adam; see mistakes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from surefoot.check.known import slots
from surefoot.check.known.means import BESIDES, CLAMPED, CONSTANTS, UPHILL, mixed, root, swapped, whole
from surefoot.rules import Rule, rule
from surefoot.rules.numbers import maximum, sqrt

__all__ = ["ADAM_MISTAKES"]


def _step(m: Any, v: Any, c1: Any, c2: Any, eps: Any) -> Any:
    return m / c1 / (sqrt(v / c2) + eps)


def _unsquared(m: Any, v: Any, c1: Any, c2: Any, eps: Any) -> Any:
    return m / c1 / (root(v / c2) + eps)


def _corrections(beta1: Any, beta2: Any, t: Any) -> tuple[Any, Any]:
    return 1 - beta1**t, 1 - beta2**t


def _late(first: int, second: int) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    return lambda beta1, beta2, t: (1 - beta1 ** (t + first), 1 - beta2 ** (t + second))


def _adam(
    name: str,
    mistake: str,
    step: Callable[..., Any] = _step,
    *,
    crossed: bool = False,
    corrections: Callable[[Any, Any, Any], tuple[Any, Any]] = _corrections,
    shares: Callable[[Any, Any], tuple[Any, Any]] = lambda beta1, beta2: (beta1, beta2),
    means: tuple[Callable[..., Any], Callable[..., Any]] = (mixed, mixed),
    squares: Callable[[Any, Any], Any] = lambda d, m: d**2,
    stored: str = "",
    one: bool = False,
    largest: Callable[[Any, Any, Any], Any] = lambda old, new, t: new,
    scaled: bool = False,
) -> Rule:
    @rule(name=name, exact=False, mistake=mistake, slots=slots.ADAM)
    def adam(w, d, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad):  # type: ignore[no-untyped-def]
        if crossed:
            beta1, beta2 = beta2, beta1
        t = yield "t", t + 1
        c1, c2 = corrections(beta1, beta2, t)
        share1, share2 = shares(beta1, beta2)
        m = means[0](share1, m, d)
        v = means[1](share2, m if one else v, squares(d, m))
        if one:
            m = v
        if "m" in stored:
            m, c1 = m / c1, 1
        if "v" in stored:
            v, c2 = v / c2, 1
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
    _adam("β₁ for v", "the second moment's bias correction uses β₁ instead of β₂",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v / c1) + eps)),
    _adam("β₂ for m", "the first moment's bias correction uses β₂ instead of β₁",
          lambda m, v, c1, c2, eps: m / c2 / (sqrt(v / c2) + eps)),
    _adam("no root", "the second moment's root is left out",
          lambda m, v, c1, c2, eps: m / c1 / (v / c2 + eps)),
    _adam("correction unrooted", "the second moment's bias correction is applied outside the root",
          lambda m, v, c1, c2, eps: m / c1 / (sqrt(v) / c2 + eps)),
    _adam("multiplied", "the means are multiplied by their bias corrections, but should be divided by them",
          lambda m, v, c1, c2, eps: m * c1 / (sqrt(v * c2) + eps)),
    _adam("whole", "gradient and square are added to their means without the factors 1 − β₁ and 1 − β₂",
          means=(whole, whole)),
    _adam("whole d", "the gradient is added to its mean without the factor 1 − β₁", means=(whole, mixed)),
    _adam("whole d²", "the square is added to its mean without the factor 1 − β₂", means=(mixed, whole)),
    _adam("no square", "the second mean averages gradients that are not squared", _unsquared,
          squares=lambda d, m: d),
    _adam("m²", "the second mean averages squares of the first mean, not of the gradients",
          squares=lambda d, m: m**2),
    _adam("corrected, stored", "the means are stored bias-corrected, and the next step continues from those",
          stored="mv"),
    _adam("corrected m, stored", "the first mean is stored bias-corrected, as by an in-place div_(), and "
        "the next step continues from that", stored="m"),
    _adam("corrected v, stored", "the second mean is stored bias-corrected, as by an in-place div_(), and "
        "the next step continues from that", stored="v"),
    _adam("β₁ in v", "the second mean uses β₁ instead of β₂", shares=lambda b1, b2: (b1, b1)),
    _adam("β₂ in m", "the first mean uses β₂ instead of β₁", shares=lambda b1, b2: (b2, b2)),
    _adam("1 − β₁", "β₁ and 1 − β₁ are swapped in the first mean", means=(swapped, mixed)),
    _adam("1 − β₂", "β₂ and 1 − β₂ are swapped in the second mean", means=(mixed, swapped)),
    _adam("1 − β", "β and 1 − β are swapped in both means", means=(swapped, swapped)),
    _adam("(1 − β)ᵗ", "both bias corrections are (1 − β)ᵗ instead of 1 − βᵗ",
          corrections=lambda b1, b2, t: ((1 - b1) ** t, (1 - b2) ** t)),
    _adam("(1 − β₁)ᵗ", "the first moment's bias correction is (1 − β₁)ᵗ instead of 1 − β₁ᵗ",
          corrections=lambda b1, b2, t: ((1 - b1) ** t, 1 - b2**t)),
    _adam("(1 − β₂)ᵗ", "the second moment's bias correction is (1 − β₂)ᵗ instead of 1 − β₂ᵗ",
          corrections=lambda b1, b2, t: (1 - b1**t, (1 - b2) ** t)),
    _adam("β₁t", "the first moment's bias correction is 1 − β₁·t instead of 1 − β₁ᵗ",
          corrections=lambda b1, b2, t: (1 - b1 * t, 1 - b2**t)),
    _adam("no powers", "both bias corrections are 1 − β at every step instead of 1 − βᵗ",
          corrections=lambda b1, b2, t: (1 - b1, 1 - b2)),
    _adam("one tensor", "both means are one tensor, so each overwrites the other", _unsquared, one=True),
    _adam("clamped", CLAMPED, lambda m, v, c1, c2, eps: m / c1 / maximum(sqrt(v / c2), eps)),
    _adam("uphill", UPHILL, lambda m, v, c1, c2, eps: -_step(m, v, c1, c2, eps)),
    _adam("swapped", "the two betas are swapped: the first is used for the squares, the second for the mean",
          crossed=True),
    _adam("old largest", "AMSGrad divides by the largest mean from before the step",
          largest=lambda old, new, t: new if t == 1 else old),
    _adam("old largest, from 0", "AMSGrad divides by the largest mean from before the step",
          largest=lambda old, new, t: old),
    _adam("ε lr", "ε is multiplied by the learning rate", scaled=True),
    _adam_turned("decay turned", "maximize flips the sign of the weight decay too", decoupled=False),
    _adam_turned("decoupled decay turned", "maximize flips the sign of the weight decay too: weights grow",
                 decoupled=True),
    _adam("late", "both bias corrections count one step too many", corrections=_late(1, 1)),
    _adam("late m", "the first moment's bias correction counts one step too many",
          corrections=_late(1, 0)),
    _adam("late v", "the second moment's bias correction counts one step too many",
          corrections=_late(0, 1)),
    *(_adam(f"{x:g} inside", BESIDES.format(x),
            lambda m, v, c1, c2, eps, x=x: m / c1 / (sqrt(v / c2 + x) + eps)) for x in CONSTANTS),
)  # fmt: skip
