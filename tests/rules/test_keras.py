"""K and KN, against the formulas of Keras's documentation of its SGD, written out here on their own."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from surefoot.rules import get

number = st.fractions(-4, 4, max_denominator=16)
part = st.fractions(0, 1, max_denominator=16)


def documented(w, gradients, learning_rates, momentum, nesterov):
    """As keras.io has it for momentum 0, for momentum, and for momentum with nesterov=True."""
    velocity = Fraction(0)
    for g, learning_rate in zip(gradients, learning_rates, strict=True):
        velocity = momentum * velocity - learning_rate * g
        if momentum == 0:
            w = w - learning_rate * g
        elif nesterov:
            w = w + momentum * velocity - learning_rate * g
        else:
            w = w + velocity
        yield w, velocity


@given(
    w=number,
    steps=st.lists(st.tuples(number, part), min_size=1, max_size=8),
    momentum=part,
    nesterov=st.booleans(),
)
def test_keras(w, steps, momentum, nesterov):
    keras = get("keras")
    h = keras.hyper(momentum=momentum, nesterov=nesterov)
    s, at = keras.init(h, w), w
    for want, (g, lr) in zip(
        documented(w, *zip(*steps, strict=True), momentum, nesterov), steps, strict=True
    ):
        at, s = keras.step(h.replace(lr=lr), at, g, s)
        assert (at, s["velocity"]) == want


def test_keras_decays_before_the_step_and_by_the_learning_rate():
    """Its optimizers do `variable -= variable * weight_decay * learning_rate` before the update."""
    keras = get("keras")
    h = keras.hyper(lr=Fraction(1, 2), momentum=Fraction(1, 2), weight_decay=Fraction(1, 4))
    w, velocity, s = Fraction(3), Fraction(0), {"velocity": 0}
    for g in (1, -2, 5):
        want = w - w * h.weight_decay * h.lr
        velocity = h.momentum * velocity - h.lr * g
        w, s = keras.step(h, w, g, s)
        assert w == want + velocity
