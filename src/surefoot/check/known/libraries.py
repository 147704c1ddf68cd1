"""Rules as other libraries and courses have them: known conventions, and no mistakes."""
# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Iterator

from surefoot.check.known import slots
from surefoot.rules import Rule, rule
from surefoot.rules.numbers import maximum, sqrt

__all__ = ["elsewhere", "two_points"]


@rule(
    title="RMSprop with ε under the root, as optax scales by it",
    exact=False,
    slots=slots.RMSPROP,
    source="optax.scale_by_rms(eps_in_sqrt=True)",
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
    slots=slots.ADAM,
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


@rule(
    title="Adam with ε̂, added to the root before its correction, as in Keras and TensorFlow",
    exact=False,
    slots=slots.ADAM,
    source="Kingma & Ba 2015, the last lines of section 2; keras.optimizers.Adam",
)
def adam_hat(w, d, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    if amsgrad:
        v = yield "v_max", maximum(v_max, v)
    return w - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + eps)


@rule(
    title="Adam whose bias corrections are products of each step's betas, identical while the betas are "
    "constant",
    exact=False,
    slots={"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    source="as torch.optim.NAdam keeps mu_product",
)
def adam_products(w, d, m=0, v=0, v_max=0, c1=1, c2=1, *, lr, beta1, beta2, eps, amsgrad):
    c1 = yield "c1", c1 * beta1
    c2 = yield "c2", c2 * beta2
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    if amsgrad:
        v = yield "v_max", maximum(v_max, v)
    return w - lr * (m / (1 - c1)) / (sqrt(v / (1 - c2)) + eps)


@rule(
    title="Adagrad with ε under the root, as in Keras and optax",
    exact=False,
    slots={"t": "step", "v": "sum"},
    source="keras.optimizers.Adagrad; optax.adagrad",
)
def adagrad_under(w, d, t=0, v="initial_accumulator_value", *, lr, lr_decay, initial_accumulator_value, eps):
    t = yield "t", t + 1
    v = yield "v", v + d**2
    return w - lr / (1 + (t - 1) * lr_decay) * d / sqrt(v + eps)


def _rmsprop_keras(name: str, title: str, start: int, source: str) -> Rule:
    @rule(name=name, title=title, exact=False, source=source, slots=slots.RMSPROP)
    def rmsprop(w, d, v=start, a=0, b=0, *, lr, alpha, eps, momentum, centered):
        v = yield "v", alpha * v + (1 - alpha) * d**2
        if centered:
            a = yield "a", alpha * a + (1 - alpha) * d
            v = v - a**2
        b = yield "b", momentum * b + lr * d / sqrt(v + eps)
        return w - b

    return rmsprop


rmsprop_keras = _rmsprop_keras(
    "rmsprop_keras",
    "RMSprop with ε under the root and lr inside the momentum buffer, as in Keras, optax and Paddle",
    0,
    "keras.optimizers.RMSprop; optax.rmsprop; paddle.optimizer.RMSProp",
)
rmsprop_tf = _rmsprop_keras(
    "rmsprop_tf",
    "RMSprop whose mean of squares starts at 1, with ε under the root and lr inside the momentum buffer, as "
    "in TensorFlow 1 and timm",
    1,
    "tf.compat.v1.train.RMSPropOptimizer; timm.optim.RMSpropTF",
)


@rule(
    title="plain SGD whose learning rate is divided by √t",
    exact=False,
    slots={"t": "step"},
    source="Zinkevich 2003, Online convex programming; a first exercise in courses",
)
def sgd_falling(w, d, t=0, *, lr):
    t = yield "t", t + 1
    return w - sqrt(lr**2 / t) * d  # a root of t alone would have to be exact


@rule(
    title="SGD whose buffer also accumulates gradients while momentum is 0, as in the bare formula",
    slots={"b": "momentum_buffer"},
    source="b = momentum * b + d at every step, without a condition",
)
def sgd_unconditional(w, d, b=None, *, lr, momentum, dampening, nesterov):
    b = yield "b", d if b is None else momentum * b + (1 - dampening) * d
    return w - lr * (d + momentum * b if nesterov else b)


@rule(
    title="Adamax with ε added after the maximum, as in Keras and optax",
    exact=True,
    slots=slots.ADAMAX,
    source="keras.optimizers.Adamax; optax.adamax",
)
def adamax_after(w, d, t=0, m=0, v=0, *, lr, beta1, beta2, eps):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", maximum(beta2 * v, abs(d))
    return w - lr / (1 - beta1**t) * m / (v + eps)


@rule(
    title="Nesterov's momentum in its two-point form, where an outside change of w counts as a step",
    slots={"y": "point"},
    source="Nesterov 1983; Beck & Teboulle 2009, FISTA",
)
def two_points(w, d, y=None, *, lr, momentum):
    y_old = w if y is None else y
    y = yield "y", w - lr * d
    return y + momentum * (y - y_old)


_OF = {
    "torch": (sgd_falling, two_points, sgd_unconditional),
    "keras": (two_points,),
    "rmsprop": (rmsprop_under, rmsprop_keras, rmsprop_tf),
    "adagrad": (adagrad_under,),
    "adamax": (adamax_after,),
    "nadam": (nadam_unscheduled,),
}
_OF |= dict.fromkeys(("adam", "adamw", "amsgrad"), (amsgrad_corrected, adam_hat, adam_products))


def elsewhere(held: Rule) -> Iterator[Rule]:
    """Yield the forms that a rule has in other libraries, with its own defaults: its decay, its options."""
    for found in _OF.get(held.family, ()):
        if found is two_points and not held.defaults.get("nesterov"):
            continue  # without Nesterov it is no form of that
        yield found.with_defaults_of(held, found.name)
