"""Hyperparameters by their names: how else authors call them, and with which values they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from surefoot.check.protocol import LR

__all__ = ["ALWAYS", "KNOWN", "MEANT", "PLAIN_NAMES", "RATES", "SYNONYMS", "TRIED", "Known", "named"]


@dataclass(frozen=True)
class Known:
    """What is known of a hyperparameter.

    Args:
        usual: its value where an option has no default; None where none can be taken.
        tried: the value in every script of the arithmetic, and the one that it is changed to; None where no
            rule has it.
        shown: one or two values by which the contract sees in short runs that it does something: exact in
            binary, and far from the default.
        more: others, where those two may do nothing.
        wrong: values that cannot be meant.
        in_code: what stands in code in its place, the most usual first, where a rule says nothing without it.
        synonyms: other names under which authors offer it.
        meant: names that are often meant as it, the likeliest first.
        always: nobody switches it off.
    """

    usual: Any = None
    tried: tuple[Any, Any] | None = None
    shown: tuple[Any, ...] = ()
    more: tuple[Any, ...] = ()
    wrong: tuple[Any, ...] = ()
    in_code: tuple[float, ...] = ()
    synonyms: tuple[str, ...] = ()
    meant: tuple[str, ...] = ()
    always: bool = False


def _of(x: int, y: int) -> Fraction:
    return Fraction(x, y)


# What is tried are powers of two or 1 minus one: short runs are exact. 1−μ ≠ μ, 1−β ≠ β and 1−τ ≠ μ, so that
# none stands for another. ε is large, since a usual one hides bugs; where it is a lower bound, a small one
# never binds. The order is the one in which the contract switches options on together.
KNOWN: Mapping[str, Known] = {
    "lr": Known(
        LR, (_of(1, 4), _of(1, 8)), (0.125, 0.0625), wrong=(-1.0,), always=True,
        synonyms=("learning_rate", "step_size"),
        meant=("eta", "stepsize", "step", "rate", "lrate", "learn_rate", "alpha", "gamma"),
    ),
    "momentum": Known(
        0.9, (_of(3, 4), _of(7, 8)), (0.75, 0.5), wrong=(-0.5,), in_code=(0.9, 0.99, 0.95, 0.8, 0.5),
        synonyms=("mu", "beta", "momentum_factor"),
        meant=("m", "mom", "beta", "mu", "rho", "alpha", "gamma", "friction", "momentum_coeff"),
    ),
    "dampening": Known(0, (_of(1, 2), _of(3, 4)), (0.5, 0.25)),
    "weight_decay": Known(
        0, (_of(1, 8), _of(1, 16)), (0.125, 0.25), wrong=(-0.5,), synonyms=("wd",),
        # not decay: that of the learning rate is called so, too
        meant=("l2", "lam", "lambda_", "lambd", "reg", "l2_reg", "l2_penalty", "penalty"),
    ),
    "nesterov": Known(False, (True, True), (True,), synonyms=("use_nesterov",)),
    "maximize": Known(False, (True, True), (True,)),
    "betas": Known(
        (0.9, 0.999), ((_of(3, 4), _of(5, 8)), (_of(1, 2), _of(3, 4))), ((0.5, 0.75), (0.75, 0.5)),
        wrong=((1.5, 0.75), (0.5, -0.25)), always=True,
    ),
    "beta1": Known(
        0.9, (_of(3, 4), _of(1, 2)), in_code=(0.9, 0.5, 0.95), always=True,
        synonyms=("beta_1", "b1"),  # in Keras; in optax
        meant=("b1", "beta_1", "rho1", "mu", "momentum", "beta"),
    ),
    "beta2": Known(
        0.999, (_of(7, 8), _of(3, 4)), in_code=(0.999, 0.98, 0.99, 0.95, 0.9), always=True,
        synonyms=("beta_2", "b2"),
        meant=("b2", "beta_2", "rho2", "rho", "nu", "decay", "gamma"),
    ),
    "eps": Known(
        1e-8, (_of(1, 8), _of(1, 16)), (0.125, 0.25), more=(4.0,), wrong=(-1.0,), always=True,
        in_code=(1e-8, 1e-9, 1e-6, 1e-7, 1e-10, 1e-5, 1e-12, 1e-15),
        synonyms=("epsilon",), meant=("delta", "damping", "tau"),
    ),
    "amsgrad": Known(False, (True, True), (True,), synonyms=("ams_grad", "ams_bound")),
    "alpha": Known(
        0.99, (_of(3, 4), _of(7, 8)), (0.5, 0.25), in_code=(0.99, 0.9, 0.95), always=True,
        meant=("rho", "beta", "beta2", "decay", "gamma", "decay_rate", "smoothing"),
    ),
    "centered": Known(False, (True, True), (True,)),
    "rho": Known(
        0.9, (_of(3, 4), _of(7, 8)), (0.5, 0.25), in_code=(0.9, 0.95, 0.99), always=True,
        meant=("alpha", "beta", "decay", "gamma", "decay_rate"),
    ),
    "lambd": Known(shown=(0.5,)),
    "lr_decay": Known(0, (_of(1, 2), _of(1, 4)), (0.5,)),
    "initial_accumulator_value": Known(0, (_of(1, 2), _of(1, 2)), (0.5,)),
    "momentum_decay": Known(0.004, (_of(1, 4), _of(1, 8)), (0.5,)),
    "decoupled_weight_decay": Known(shown=(True,)),
    "etas": Known(shown=((0.25, 2.0),)),
    "step_sizes": Known(shown=((0.0625, 0.5),)),
}  # fmt: skip

SYNONYMS = {synonym: name for name, known in KNOWN.items() for synonym in known.synonyms}
DOUBTFUL = ("mu", "beta")  # may be meant as something else
PLAIN_NAMES = SYNONYMS.keys() - {*DOUBTFUL}
# what is the learning rate where nothing is called so, the likeliest first
RATES = KNOWN["lr"].meant
# hyperparameter → names that are often meant as it; both in the order of likelihood
MEANT = {
    name: KNOWN[name].meant
    for name in ("lr", "alpha", "rho", "beta1", "beta2", "momentum", "eps", "weight_decay")
}
TRIED = {name: known.tried for name, known in KNOWN.items() if known.tried}
ALWAYS = {name for name, known in KNOWN.items() if known.always}
_AVERAGES = {"momentum", "betas", "beta1", "beta2"}


def named(options: Mapping[str, Any]) -> dict[str, str]:
    """Return option → hyperparameter, where its name says so, in the order of the table.

    A synonym says so where nothing else is called that; a doubtful one, where besides its default is a share,
    and no other option is of an average.

    Args:
        options: option → default; None where there is none.
    """
    averages = {o for o in options if SYNONYMS.get(o, o) in _AVERAGES}
    found = {}
    for name, known in KNOWN.items():
        names = [name] if name in options else [s for s in known.synonyms if s in options][:1]
        for option in names:
            if option not in DOUBTFUL or (averages == {option} and _is_share(options[option])):
                found[option] = name
    return found


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
