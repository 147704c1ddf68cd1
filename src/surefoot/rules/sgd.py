"""The SGD family as a table: how the buffer averages, where it starts, what Nesterov reads, how w moves.

Throughout, d is the gradient, plus λw where weight decay goes there; b or v is the buffer, u what the step
reads. The letters P, K, … among the aliases are those of docs/rules.md.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

from dataclasses import replace
from typing import Any

from surefoot.rules.define import rule
from surefoot.rules.hypers import AVERAGING, FRAME, hyper_for
from surefoot.rules.numbers import sign, zero
from surefoot.rules.rule import Rule, Slot

__all__ = ["CLASSICAL", "SGD_FAMILY"]


# How a buffer averages: (h, d, b) -> the new b. Nesterov averages once more, to look one step ahead.
def damped_sum(h, d, b):
    return h.momentum * b + (1 - h.dampening) * d


def plain_sum(h, d, b):
    return h.momentum * b + d


def mean(h, d, b):
    return h.momentum * b + (1 - h.momentum) * d


def velocity(h, d, v):
    return h.momentum * v - h.lr * d


def mistaken_velocity(h, d, v):
    return h.momentum**2 * v - (1 + h.momentum) * h.lr * d


# How w moves: (h, w, u) -> the new w.
def descend(h, w, u):
    return w - h.lr * u


def move(h, w, u):
    return w + u


GRADIENT, ZERO = None, 0  # where a buffer starts: as the first gradient, or at 0

# fmt: off
TABLE = {
    #               the buffer   starts    Nesterov reads     w
    "torch":       (damped_sum,  GRADIENT, plain_sum,         descend),
    "mlx":         (damped_sum,  ZERO,     plain_sum,         descend),
    "optax":       (plain_sum,   ZERO,     plain_sum,         descend),
    "keras":       (velocity,    ZERO,     velocity,          move),
    "sutskever":   (velocity,    ZERO,     None,              move),
    "ema":         (mean,        ZERO,     mean,              descend),
    "ema_first":   (mean,        GRADIENT, mean,              descend),
    "chainer_nag": (velocity,    ZERO,     mistaken_velocity, move),
}
# fmt: on

ABOUT: dict[str, dict[str, Any]] = {
    "torch": {
        "title": "PyTorch's SGD",
        "aliases": ("P", "sgd", "pytorch", "apex"),
        "source": "torch.optim.SGD",
    },
    "mlx": {
        "title": "MLX's SGD: dampened from the first step on",
        "aliases": ("P0",),
        "source": "mlx.optimizers.SGD",
    },
    "optax": {
        "title": "sum of gradients",
        "aliases": ("T", "trace", "tensorflow", "jax", "paddle", "mindspore"),
        "source": "optax.trace and optax.sgd; TensorFlow's ApplyMomentum; Paddle; MindSpore",
    },
    "keras": {
        "title": "Keras's SGD: classical momentum",
        "aliases": ("K", "classical", "caffe", "mxnet", "gluon", "sklearn", "chainer"),  # but K: l2
        "decay": "decoupled",
        "source": "Sutskever et al. 2013, eq. 1–2; keras.optimizers.SGD",
    },
    "sutskever": {
        "title": "Nesterov's gradient, taken at the lookahead point w + μv",
        "aliases": ("SN", "lookahead"),
        "source": "Sutskever et al. 2013, eq. 3–4; Nesterov 1983 with its own μₜ",
        "look": lambda h, w, s: w + h.momentum * s["velocity"],
    },
    "ema": {
        "title": "mean of gradients",
        "aliases": ("E0",),
        "source": "optax.ema(debias=False)",
    },
    "ema_first": {
        "title": "mean of gradients that starts as the first of them",
        "aliases": ("E1",),
        "source": "torch.optim.SGD with dampening = momentum",
    },
    "chainer_nag": {
        "title": "Chainer's NesterovAG",
        "aliases": ("CN",),
        "source": "chainer.optimizers.NesterovAG; Chainer issue 4274",
        "mistake": "the formula is meant for the velocity before the step but is given the one after it, "
        "so the first gradient counts 1 + μ + μ² times instead of 1 + μ",
    },
}


def family(name, average, starts, nesterov, moves) -> Rule:  # type: ignore[no-untyped-def]
    """One row of the table as a rule; Nesterov is an option, but in a mistake that knows nothing else."""
    b = Slot("velocity", "v", starts) if average is velocity else Slot("momentum_buffer", "b", starts)
    always = "mistake" in ABOUT[name]

    def formula(h, w, d, s):
        if average is damped_sum and zero(h.momentum):  # no buffer then, and no dampening
            return moves(h, w, d)
        u = yield b.name, d if s[b.name] is None else average(h, d, s[b.name])
        if always or (nesterov and h.nesterov):
            u = yield "u", nesterov(h, d, u)
        return moves(h, w, u)

    hypers = [hyper_for("lr", 0.01 if average is velocity else 1e-3)]
    hypers += [AVERAGING if average is mean else hyper_for("momentum")]
    hypers += [hyper_for("dampening")] * (average is damped_sum)
    hypers += [hyper_for("nesterov")] * (nesterov is not None and not always)
    about = dict(ABOUT[name])
    decay = about.pop("decay", "l2")  # where that library has it
    made = Rule(name=name, formula=formula, hypers=(*hypers, *FRAME), slots=(b,), **about)
    return made.variant(name, aliases=made.aliases, decay=decay)


rows = {name: family(name, *row) for name, row in TABLE.items()}
# what keras is by its other names: libraries that add weight decay to the gradient
CLASSICAL = rows["keras"].variant(
    "classical",
    title="classical momentum, with weight decay in the gradient",
    aliases=("caffe", "mxnet", "gluon", "sklearn", "chainer"),
    source="Sutskever et al. 2013, eq. 1–2; Caffe; MXNet; scikit-learn; Chainer",
    decay="l2",
)
muon = rows["ema"].variant(
    "muon",
    title="Muon's Nesterov, before it orthogonalises",
    aliases=("EN",),
    source="Jordan et al. 2024; torch.optim.Muon, whose weight_decay is 0.1 by default",
    nesterov=True,
    momentum=0.95,
    decay="decoupled",
)

# the same letters, where they keep something else
REPEATING = replace(hyper_for("momentum"), meaning="how much of the last move is repeated")
MIXING = replace(hyper_for("beta1"), meaning="how much of the direction is the mean's, not the gradient's")
OF_GRADIENTS = replace(hyper_for("beta2", 0.99), meaning="how much of the mean of gradients is kept")


@rule(
    title="Polyak's heavy ball",
    slots={"p": "previous"},
    aliases=("HB", "polyak"),
    source="Polyak 1964, Some methods of speeding up the convergence of iteration methods",
)
def heavy_ball(w, d, p=None, *, lr, momentum=REPEATING):
    p_old = w if p is None else p
    yield "p", w
    return w - lr * d + momentum * (w - p_old)


SET_OUT = "where w was before the step, after any weight decay that comes first"
heavy_ball = replace(heavy_ball, slots=(heavy_ball.slots[0]._replace(meaning=SET_OUT),))


@rule(
    title="mean of gradients, corrected for its start at 0",
    slots={"b": "momentum_buffer", "t": "step"},
    aliases=("EB",),
    source="the first moment of Adam: Kingma & Ba 2015, algorithm 1; optax.ema",
)
def ema_corrected(w, d, b=0, t=0, *, lr, momentum=AVERAGING):
    t = yield "t", t + 1
    b = yield "b", momentum * b + (1 - momentum) * d
    u = yield "u", b / (1 - momentum**t)
    return w - lr * u


@rule(
    title="Lion",
    slots={"m": "exp_avg"},
    aliases=("L",),
    source="Chen et al. 2023, Symbolic discovery, algorithm 2",
    decay="decoupled",
)
def lion(w, d, m=0, *, lr=1e-4, beta1=MIXING, beta2=OF_GRADIENTS):
    u = yield "u", beta1 * m + (1 - beta1) * d
    yield "m", beta2 * m + (1 - beta2) * d
    return w - lr * sign(u)


@rule(
    title="SignSGD; with momentum, Signum",
    slots={"m": "exp_avg"},
    aliases=("signum",),
    source="Bernstein et al. 2018, algorithms 1 and 2",
)
def signsgd(w, d, m=0, *, lr, momentum=AVERAGING):
    m = yield "m", momentum * m + (1 - momentum) * d
    return w - lr * sign(m)


SGD_FAMILY: tuple[Rule, ...] = (*rows.values(), muon, heavy_ball, ema_corrected, lion, signsgd)
