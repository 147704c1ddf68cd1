"""The SGD family as a table: how the buffer averages, where it starts, what Nesterov reads, how w moves.

Throughout, d is the gradient (plus λw, where weight decay goes there), b or v the buffer and u what the step reads.
The letters P, K, … in the aliases are those of docs/rules.md.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

from surefoot.rules.hyper import AVERAGING, FRAME, hyper_for
from surefoot.rules.numbers import sign, zero
from surefoot.rules.rule import Rule, Slot, rule

__all__ = ["SGD_FAMILY"]


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


def family(average, start, nesterov, moves, *, always=False, lr=1e-3, **about) -> Rule:
    """One row: `nesterov` is an option if there is such an averaging, or always so; `about` as in `Rule`."""
    b = Slot("velocity", "v", start) if average is velocity else Slot("momentum_buffer", "b", start)
    damped, optional = average is damped_sum, nesterov and not always

    def formula(h, w, d, s):
        if damped and zero(h.momentum):  # these libraries then keep no buffer, and ignore dampening
            return moves(h, w, d)
        u = yield b.name, d if s[b.name] is None else average(h, d, s[b.name])
        if always or (optional and h.nesterov):
            u = yield "u", nesterov(h, d, u)
        return moves(h, w, u)

    hypers = [hyper_for("lr", lr), AVERAGING if average is mean else hyper_for("momentum")]
    hypers += [hyper_for("dampening")] * damped + [hyper_for("nesterov")] * bool(optional)
    return Rule(formula=formula, hypers=(*hypers, *FRAME), slots=(b,), **about)


TORCH = family(
    damped_sum, GRADIENT, plain_sum, descend,
    name="torch", title="PyTorch's SGD", aliases=("P", "sgd", "pytorch", "apex"), source="torch.optim.SGD",
)  # fmt: skip
MLX = family(
    damped_sum, ZERO, plain_sum, descend,
    name="mlx", title="MLX's SGD: dampened from the first step", aliases=("P0",), source="mlx.optimizers.SGD",
)  # fmt: skip
OPTAX = family(
    plain_sum, ZERO, plain_sum, descend,
    name="optax", title="sum of gradients", aliases=("T", "trace", "tensorflow", "jax", "paddle", "mindspore"),
    source="optax.trace and optax.sgd; TensorFlow's ApplyMomentum; Paddle; MindSpore",
)  # fmt: skip
KERAS = family(
    velocity, ZERO, velocity, move, lr=0.01,
    name="keras", title="Keras's SGD: classical momentum", aliases=("K", "classical", "caffe", "mxnet", "sklearn", "chainer"),
    source="keras.optimizers.SGD; Sutskever et al. 2013, eq. 1–2; Caffe; MXNet; scikit-learn; Chainer",
)  # fmt: skip
SUTSKEVER = family(
    velocity, ZERO, None, move, look=lambda h, w, s: w + h.momentum * s["velocity"],
    name="sutskever", title="Nesterov's gradient, taken at the lookahead point w + μv", aliases=("SN", "lookahead"),
    source="Sutskever et al. 2013, eq. 3–4; Nesterov 1983 with its own μₜ",
)  # fmt: skip
EMA = family(
    mean, ZERO, mean, descend,
    name="ema", title="mean of gradients", aliases=("E0", "optax_ema"), source="optax.ema",
)  # fmt: skip
EMA_FIRST = family(
    mean, GRADIENT, mean, descend,
    name="ema_first", title="mean of gradients that starts as the first one", aliases=("E1",),
    source="PyTorch's SGD with dampening = momentum",
)  # fmt: skip
MUON = EMA.variant(
    "muon", nesterov=True, momentum=0.95, title="Muon's Nesterov, before it orthogonalises", aliases=("EN",),
    source="Jordan et al. 2024, Muon; torch.optim.Muon",
)  # fmt: skip
CHAINER_NAG = family(
    velocity, ZERO, mistaken_velocity, move, always=True, lr=0.01,
    name="chainer_nag", title="Chainer's NesterovAG as it was", aliases=("CN",), source="Chainer issue 4274; MXNet issue 15543",
    mistake="the velocity is put in after it has been stepped, so the gradient counts 1 + μ + μ² times at first",
)  # fmt: skip


@rule(
    title="Polyak's heavy ball", slots={"p": "previous"}, aliases=("HB", "polyak"),
    source="Polyak 1964, Some methods of speeding up the convergence of iteration methods",
)  # fmt: skip
def heavy_ball(w, d, p=None, *, lr, momentum):
    p_old = w if p is None else p
    yield "p", w
    return w - lr * d + momentum * (w - p_old)


@rule(
    title="mean of gradients, corrected for its start at 0", slots={"b": "momentum_buffer", "t": "step"}, aliases=("EB",),
    source="the first moment of Adam: Kingma & Ba 2015, algorithm 1",
)  # fmt: skip
def ema_corrected(w, d, b=0, t=0, *, lr, momentum=AVERAGING):
    t = yield "t", t + 1
    b = yield "b", momentum * b + (1 - momentum) * d
    u = yield "u", b / (1 - momentum**t)
    return w - lr * u


@rule(
    title="Lion", slots={"m": "exp_avg"}, aliases=("L",), source="Chen et al. 2023, Symbolic discovery, algorithm 2",
    decay="decoupled",
)  # fmt: skip
def lion(w, d, m=0, *, lr=1e-4, beta1, beta2=0.99):
    u = yield "u", beta1 * m + (1 - beta1) * d
    yield "m", beta2 * m + (1 - beta2) * d
    return w - lr * sign(u)


@rule(
    title="SignSGD; with momentum, Signum", slots={"m": "exp_avg"}, aliases=("signum",),
    source="Bernstein et al. 2018, algorithms 1 and 2",
)  # fmt: skip
def signsgd(w, d, m=0, *, lr, momentum=AVERAGING):
    m = yield "m", momentum * m + (1 - momentum) * d
    return w - lr * sign(m)


SGD_FAMILY = (
    TORCH, MLX, OPTAX, KERAS, SUTSKEVER, heavy_ball, EMA, EMA_FIRST, ema_corrected, MUON, lion, signsgd, CHAINER_NAG,
)  # fmt: skip
