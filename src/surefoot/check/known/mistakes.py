"""Known mistakes in a formula: rules with one thing wrong.

Each row is PyTorch's SGD (here), Adam (in mistakes_adam.py) or one of its kin (in mistakes_adaptive.py), with
one of its parts replaced. So a failure gets its diagnosis: the mistake that reproduces what came, to the last
bit, is most likely the one made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from surefoot.check.known.adam import ADAM_MISTAKES
from surefoot.check.known.adaptive import (
    ADAGRAD_MISTAKES,
    ADAMAX_MISTAKES,
    LION_MISTAKES,
    RMSPROP_MISTAKES,
)
from surefoot.check.known.means import UPHILL
from surefoot.rules import RULES, Rule, Slot
from surefoot.rules.hypers import hyper_for
from surefoot.rules.numbers import zero

__all__ = ["MISTAKES", "climbs", "mistakes_in"]


# The parts, as they should be. `old` is the buffer before the step, None before the first gradient.
def _gradient(h: Any, w: Any, g: Any) -> Any:
    return (-g if h.maximize else g) + h.weight_decay * w


def _first(h: Any, d: Any, w: Any) -> Any:
    return d


def _average(h: Any, d: Any, old: Any, g: Any) -> Any:
    return h.momentum * old + (1 - h.dampening) * d


def _nesterov(h: Any, d: Any, b: Any, old: Any, g: Any) -> Any:
    return d + h.momentum * b


def _reads(h: Any, b: Any, old: Any) -> Any:
    return b


def _keeps(h: Any, b: Any, u: Any, old: Any) -> Any:
    return b


def _moves(h: Any, w: Any, u: Any) -> Any:
    return w - h.lr * u


def _sgd(
    name: str,
    mistake: str,
    *,
    gradient: Callable[..., Any] = _gradient,
    first: Callable[..., Any] = _first,
    average: Callable[..., Any] = _average,
    nesterov: Callable[..., Any] = _nesterov,
    reads: Callable[..., Any] = _reads,
    keeps: Callable[..., Any] = _keeps,
    moves: Callable[..., Any] = _moves,
    bypass: bool = True,
) -> Rule:
    def formula(h: Any, w: Any, g: Any, s: Mapping[str, Any]) -> Any:
        d = yield "d", gradient(h, w, g)
        if bypass and zero(h.momentum):
            return moves(h, w, d)
        old = s["momentum_buffer"]
        b = first(h, d, w) if old is None else average(h, d, old, g)
        u = nesterov(h, d, b, old, g) if h.nesterov else reads(h, b, old)
        yield "momentum_buffer", keeps(h, b, u, old)
        yield "u", u
        return moves(h, w, u)

    names = ("lr", "momentum", "dampening", "nesterov", "weight_decay", "maximize")
    slot = Slot("momentum_buffer", "b", None)
    return Rule(name, name, formula, tuple(map(hyper_for, names)), (slot,), mistake=mistake)


def _is_grad(h: Any) -> bool:
    """Whether d is p.grad itself, and no new tensor: then what is done to the buffer is done to d."""
    return zero(h.weight_decay) and not h.maximize


def _sign(h: Any, g: Any) -> Any:
    return -g if h.maximize else g


SGD_MISTAKES = (
    # the buffer
    _sgd("no dampening", "dampening is accepted but never used",
         average=lambda h, d, old, g: h.momentum * old + d),
    _sgd("1 − μ", "the gradient enters the buffer times 1 − momentum instead of 1 − dampening",
         average=lambda h, d, old, g: h.momentum * old + (1 - h.momentum) * d),
    _sgd("τ", "the gradient enters the buffer times dampening instead of 1 − dampening",
         average=lambda h, d, old, g: h.momentum * old + h.dampening * d),
    _sgd("1 + τ", "the gradient enters the buffer times 1 + dampening instead of 1 − dampening",
         average=lambda h, d, old, g: h.momentum * old + (1 + h.dampening) * d),
    _sgd("dampened old", "dampening multiplies the old buffer instead of the gradient",
         average=lambda h, d, old, g: (1 - h.dampening) * h.momentum * old + d),
    _sgd("μd", "momentum multiplies the gradient too",
         average=lambda h, d, old, g: h.momentum * (old + (1 - h.dampening) * d)),
    _sgd("μ on d", "momentum multiplies the gradient instead of the buffer",
         average=lambda h, d, old, g: old + h.momentum * (1 - h.dampening) * d),
    *(_sgd(f"μd, from 0{also}", "momentum multiplies the gradient too",
           first=lambda h, d, w: h.momentum * (1 - h.dampening) * d,
           average=lambda h, d, old, g: h.momentum * (old + (1 - h.dampening) * d), bypass=not also)
      for also in ("", ", always")),
    *(_sgd(f"μ on d, from 0{also}", "momentum multiplies the gradient instead of the buffer",
           first=lambda h, d, w: h.momentum * (1 - h.dampening) * d,
           average=lambda h, d, old, g: old + h.momentum * (1 - h.dampening) * d, bypass=not also)
      for also in ("", ", always")),
    _sgd("no μ", "the old buffer is not multiplied by momentum",
         average=lambda h, d, old, g: old + (1 - h.dampening) * d),
    _sgd("−μ", "the buffer enters with the wrong sign",
         average=lambda h, d, old, g: -h.momentum * old + (1 - h.dampening) * d),
    _sgd("−d", "the gradient enters the buffer with the wrong sign after the first step",
         average=lambda h, d, old, g: h.momentum * old - (1 - h.dampening) * d),
    _sgd("no d", "after the first step the gradient no longer enters the buffer",
         average=lambda h, d, old, g: h.momentum * old),
    _sgd("reset to d", "the buffer restarts at each step, so momentum has no effect",
         average=lambda h, d, old, g: d),
    _sgd("reset to 0", "the buffer is zeroed before each step, so momentum has no effect",
         first=lambda h, d, w: (1 - h.dampening) * d, average=lambda h, d, old, g: (1 - h.dampening) * d),
    _sgd("not stored", "the new buffer is used but not stored: it keeps its value from the first step",
         keeps=lambda h, b, u, old: b if old is None else old),
    _sgd("starts at w", "the buffer starts as a copy of the parameter",
         first=lambda h, d, w: h.momentum * w + (1 - h.dampening) * d),
    _sgd("aliased", "the buffer is the gradient tensor itself: a new gradient overwrites the buffer too",
         average=lambda h, d, old, g:
             h.momentum * g * (2 - h.dampening) if _is_grad(h) else _average(h, d, old, g),
         nesterov=lambda h, d, b, old, g: b + h.momentum * b if _is_grad(h) else _nesterov(h, d, b, old, g)),
    _sgd("old buffer", "the step uses the buffer from before its update, so each gradient acts one step late",
         reads=lambda h, b, old: b if old is None else old),
    *(_sgd(f"old buffer, then updated{also}",
           "the step uses the buffer from before its update, which starts at 0: update it first, then step",
           first=lambda h, d, w: (1 - h.dampening) * d, reads=lambda h, b, old: 0 * b if old is None else old,
           bypass=not also) for also in ("", ", always")),
    _sgd("first twice", "the first gradient enters the buffer twice: the buffer starts as a copy of it, and "
        "is then also updated with it",
         first=lambda h, d, w: _average(h, d, d, d)),
    _sgd("1 + μ", "the buffer is multiplied by 1 + momentum instead of momentum",
         average=lambda h, d, old, g: (1 + h.momentum) * old + (1 - h.dampening) * d),
    _sgd("1 + μ, always", "the buffer is multiplied by 1 + momentum instead of momentum",
         average=lambda h, d, old, g: (1 + h.momentum) * old + (1 - h.dampening) * d, bypass=False),
    _sgd("lr inside", "the learning rate is multiplied into the buffer, as in Keras, so a change acts late",
         gradient=lambda h, w, g: h.lr * _gradient(h, w, g), moves=lambda h, w, u: w - u),
    _sgd("from 0", "the buffer starts at 0, so dampening also reduces the first gradient, and without "
        "momentum every gradient",
         first=lambda h, d, w: (1 - h.dampening) * d, bypass=False),
    # Nesterov
    _sgd("nesterov ignored", "nesterov is accepted but has no effect (is it used, and with the updated "
        "buffer?)",
         nesterov=lambda h, d, b, old, g: b),
    _sgd("nesterov from step 2", "Nesterov's look-ahead is missing at the first step; it begins with the "
        "second",
         nesterov=lambda h, d, b, old, g: d if old is None else d + h.momentum * b),
    _sgd("nesterov old", "Nesterov looks ahead with the buffer from before its update",
         nesterov=lambda h, d, b, old, g: d + h.momentum * (d if old is None else old)),
    _sgd("nesterov old, from 0", "Nesterov looks ahead with the buffer from before its update",
         nesterov=lambda h, d, b, old, g: d if old is None else d + h.momentum * old),
    _sgd("nesterov d + b", "Nesterov adds the buffer without its factor, momentum",
         nesterov=lambda h, d, b, old, g: d + b),
    _sgd("nesterov d − μb", "Nesterov subtracts the buffer",
         nesterov=lambda h, d, b, old, g: d - h.momentum * b),
    _sgd("nesterov μb", "Nesterov leaves out the gradient and uses only momentum · buffer",
         nesterov=lambda h, d, b, old, g: h.momentum * b),
    _sgd("nesterov b + μd", "Nesterov multiplies the gradient by momentum instead of the buffer",
         nesterov=lambda h, d, b, old, g: b + h.momentum * d),
    _sgd("nesterov g", "Nesterov's outer term is the gradient without the weight decay",
         nesterov=lambda h, d, b, old, g: _sign(h, g) + h.momentum * b),
    _sgd("nesterov raw g", "Nesterov's outer term is the gradient without its sign for maximize",
         nesterov=lambda h, d, b, old, g: g + h.momentum * b),
    _sgd("nesterov stored", "Nesterov's result is stored in the buffer",
         keeps=lambda h, b, u, old: u),
    # weight decay, maximize, and the direction
    _sgd("no decay", "weight_decay is accepted but never used", gradient=lambda h, w, g: _sign(h, g)),
    _sgd("decay sign", "weight decay has the wrong sign: it pushes parameters away from 0",
         gradient=lambda h, w, g: _sign(h, g) - h.weight_decay * w),
    _sgd("decay without w", "weight decay adds the coefficient itself, without multiplying it by the "
        "parameter",
         gradient=lambda h, w, g: _sign(h, g) + h.weight_decay),
    _sgd("decay of g", "weight decay multiplies the gradient instead of the parameter",
         gradient=lambda h, w, g: _sign(h, g) + h.weight_decay * g),
    _sgd("decay of b", "weight decay multiplies the buffer instead of the parameter", bypass=False,
         gradient=lambda h, w, g: _sign(h, g), first=lambda h, d, w: (1 + h.weight_decay) * d,
         average=lambda h, d, old, g: (1 + h.weight_decay) * (h.momentum * old + (1 - h.dampening) * d)),
    _sgd("decay by lr²", "the learning rate multiplies weight decay twice",
         gradient=lambda h, w, g: _sign(h, g),
         moves=lambda h, w, u: w - h.lr * (u + h.lr * h.weight_decay * w)),
    _sgd("decay after, no lr",
         "weight decay shrinks the parameter after the step, and the learning rate does not multiply it",
         gradient=lambda h, w, g: _sign(h, g),
         moves=lambda h, w, u: (w - h.lr * u) * (1 - h.weight_decay)),
    _sgd("decay twice", "weight decay is applied twice",
         gradient=lambda h, w, g: _sign(h, g) + 2 * h.weight_decay * w),
    _sgd("decay needs μ", "weight decay is skipped when momentum is 0",
         gradient=lambda h, w, g: _sign(h, g) + (0 if zero(h.momentum) else h.weight_decay * w)),
    _sgd("decay needs no μ", "weight decay is skipped when momentum is not 0",
         gradient=lambda h, w, g: _sign(h, g) + (h.weight_decay * w if zero(h.momentum) else 0)),
    _sgd("maximize flips decay", "maximize flips the sign of the weight decay too",
         gradient=lambda h, w, g: -(g + h.weight_decay * w) if h.maximize else g + h.weight_decay * w),
    _sgd("maximize ignored", "maximize is accepted but never used",
         gradient=lambda h, w, g: g + h.weight_decay * w),
    _sgd("uphill", UPHILL, moves=lambda h, w, u: w + h.lr * u),
    _sgd("minimize flipped", "the gradient's sign is flipped when maximize is off, not when it is on",
         gradient=lambda h, w, g: (g if h.maximize else -g) + h.weight_decay * w),
    # the step
    _sgd("no lr", "the learning rate does not multiply the step", moves=lambda h, w, u: w - u),
    _sgd("lr²", "the learning rate multiplies the step twice", moves=lambda h, w, u: w - h.lr * h.lr * u),
    _sgd("½ lr", "the step is half as long as it should be", moves=lambda h, w, u: w - h.lr * u / 2),
    _sgd("2 lr", "the step is twice as long as it should be", moves=lambda h, w, u: w - 2 * h.lr * u),
    _sgd("no step", "parameters never change", moves=lambda h, w, u: w),
)  # fmt: skip


# by the family that makes them
MISTAKES: dict[str, tuple[Rule, ...]] = {
    "SGD": (*SGD_MISTAKES, *(r for r in RULES.values() if r.mistake)),
    "Adam": ADAM_MISTAKES,
    "RMSprop": RMSPROP_MISTAKES,
    "Lion": LION_MISTAKES,
    "Adagrad": ADAGRAD_MISTAKES,
    "Adamax": ADAMAX_MISTAKES,
}
MISTAKES_OF = {
    "adagrad": ADAGRAD_MISTAKES,
    "adamax": ADAMAX_MISTAKES,
}  # those of which options say too little


def mistakes_in(rule: Rule) -> tuple[Rule, ...]:
    """The known mistakes in a rule's formula: those of its family."""
    if rule.family in MISTAKES_OF:
        return MISTAKES_OF[rule.family]
    known = rule.defaults.keys()
    if {"beta1", "beta2"} <= known and "eps" not in known:
        return MISTAKES["Lion"]
    return MISTAKES["Adam" if "beta1" in known else "RMSprop" if "alpha" in known else "SGD"]


def climbs(mistake: Rule) -> bool:
    """Whether with this mistake no step can lead downhill."""
    return mistake.mistake == UPHILL
