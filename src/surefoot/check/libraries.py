"""Adaptive rules as other libraries have them: known conventions, and no mistakes."""
# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Iterator

from surefoot.rules import Rule, rule
from surefoot.rules.numbers import maximum, sqrt

__all__ = ["elsewhere"]


@rule(
    title="RMSprop with ε under the root, as in TensorFlow and optax",
    exact=False,
    slots={"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"},
    source="tf.keras.optimizers.RMSprop; optax.scale_by_rms(eps_in_sqrt=True)",
)
def rmsprop_under(w, d, v=0, a=0, b=0, *, lr, alpha, eps, momentum, centered):
    v = yield "v", alpha * v + (1 - alpha) * d**2
    if centered:
        a = yield "a", alpha * a + (1 - alpha) * d
        v = v - a**2
    b = yield "b", momentum * b + d / sqrt(v + eps)
    return w - lr * b


@rule(
    title="Adam that keeps the largest of the corrected second moments, as in optax",
    exact=False,
    slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    source="optax.scale_by_amsgrad",
)
def amsgrad_corrected(w, d, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    v_hat = yield "v_hat", v / (1 - beta2**t)
    if amsgrad:
        v_hat = yield "v_max", maximum(v_max, v_hat)
    return w - lr * (m / (1 - beta1**t)) / (sqrt(v_hat) + eps)


@rule(
    title="NAdam without a schedule for β₁, as in optax",
    exact=False,
    slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq"},
    source="Dozat 2016, section 3; optax.scale_by_adam(nesterov=True)",
)
def nadam_unscheduled(w, d, t=0, m=0, v=0, *, lr, beta1, beta2, eps):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    ahead = beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * d / (1 - beta1**t)
    return w - lr * ahead / (sqrt(v / (1 - beta2**t)) + eps)


_OF = {"rmsprop": rmsprop_under, "nadam": nadam_unscheduled}
_OF |= dict.fromkeys(("adam", "adamw", "amsgrad"), amsgrad_corrected)


def elsewhere(held: Rule) -> Iterator[Rule]:
    """Yield the forms that a rule has in other libraries, with its own defaults: its decay, its options."""
    found = _OF.get(held.family)
    if found is not None:
        known = {x.name for x in found.hypers}
        defaults = {x.name: x.default for x in held.hypers if x.name in known and x.default is not None}
        yield found.variant(title=found.title, **defaults)
