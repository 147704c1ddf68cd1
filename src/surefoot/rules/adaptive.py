"""Rules that divide by the size of past gradients, as torch.optim has them.

d is the gradient, plus λw where weight decay goes there.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from surefoot.rules.define import rule
from surefoot.rules.hypers import hyper_for
from surefoot.rules.numbers import maximum, power, select, sqrt, variance, zero

__all__ = ["ADAPTIVE"]


@rule(
    title="Adam",
    exact=False,
    slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    source="torch.optim.Adam, after Kingma & Ba 2015, alg. 1; amsgrad: after Reddi et al. 2018, alg. 2",
)
def adam(w, d, t=0, m=0, v=0, v_max=0, *, lr, beta1, beta2, eps, amsgrad):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    if amsgrad:
        v = yield "v_max", maximum(v_max, v)
    m_hat = yield "m_hat", m / (1 - beta1**t)
    v_hat = yield "v_hat", v / (1 - beta2**t)
    return w - lr * m_hat / (sqrt(v_hat) + eps)


adamw = adam.variant(
    "adamw",
    title="AdamW",
    decay="decoupled",
    weight_decay=1e-2,
    source="torch.optim.AdamW, after Loshchilov & Hutter 2019, algorithm 2",
)
amsgrad = adam.variant(
    "amsgrad",
    title="AMSGrad",
    amsgrad=True,
    source="torch.optim.Adam(amsgrad=True), after Reddi et al. 2018, algorithm 2",
)


@rule(
    title="NAdam",
    exact=False,
    slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq", "P": "mu_product"},
    source="Dozat 2016, Incorporating Nesterov momentum into Adam; torch.optim.NAdam",
)
def nadam(w, d, t=0, m=0, v=0, P=1, *, lr=2e-3, beta1, beta2, eps, momentum_decay):
    t = yield "t", t + 1
    mu = yield "mu", beta1 * (1 - power(Fraction("0.96"), t * momentum_decay) / 2)
    mu_next = yield "mu_next", beta1 * (1 - power(Fraction("0.96"), (t + 1) * momentum_decay) / 2)
    P = yield "P", P * mu
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    m_hat = yield "m_hat", mu_next * m / (1 - P * mu_next) + (1 - mu) * d / (1 - P)
    v_hat = yield "v_hat", v / (1 - beta2**t)
    return w - lr * m_hat / (sqrt(v_hat) + eps)


@rule(
    title="RAdam",
    exact=False,
    slots={"t": "step", "m": "exp_avg", "v": "exp_avg_sq"},
    source="torch.optim.RAdam, after Liu et al. 2020, algorithm 2",
)
def radam(w, d, t=0, m=0, v=0, *, lr, beta1, beta2, eps):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", beta2 * v + (1 - beta2) * d**2
    m_hat = yield "m_hat", m / (1 - beta1**t)
    rho_inf = yield "rho_inf", 2 / (1 - beta2) - 1
    rho = yield "rho", rho_inf - 2 * t * beta2**t / (1 - beta2**t)

    def rectified():
        r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        return r * sqrt(1 - beta2**t) / (sqrt(v) + eps)

    r = yield "r", select(rho > 5, rectified, lambda: 1)
    return w - lr * r * m_hat


@rule(
    title="RMSprop",
    exact=False,
    slots={"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"},
    source="torch.optim.RMSprop, after Hinton 2012, lecture 6e; centered: after Graves 2013, eq. 38–45",
)
def rmsprop(w, d, v=0, a=0, b=0, *, lr=1e-2, alpha, eps, momentum, centered):
    v = yield "v", alpha * v + (1 - alpha) * d**2
    if centered:
        a = yield "a", alpha * a + (1 - alpha) * d
        v = variance(v, a)
    u = yield "u", d / (sqrt(v) + eps)
    if zero(momentum):
        return w - lr * u
    b = yield "b", momentum * b + u
    return w - lr * b


@rule(
    title="Adagrad",
    exact=False,
    slots={"t": "step", "v": "sum"},
    source="Duchi et al. 2011, eq. 1; torch.optim.Adagrad",
)
def adagrad(
    w, d, t=0, v="initial_accumulator_value", *, lr=1e-2, lr_decay, initial_accumulator_value, eps=1e-10
):
    t = yield "t", t + 1
    v = yield "v", v + d**2
    return w - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(v) + eps)


@rule(
    title="Adadelta",
    exact=False,
    slots={"v": "square_avg", "x": "acc_delta"},
    source="Zeiler 2012, algorithm 1; torch.optim.Adadelta",
)
def adadelta(w, d, v=0, x=0, *, lr=1.0, rho, eps=1e-6):
    v = yield "v", rho * v + (1 - rho) * d**2
    u = yield "u", sqrt(x + eps) / sqrt(v + eps) * d
    yield "x", rho * x + (1 - rho) * u**2
    return w - lr * u


# v is no mean here
OF_LARGEST = replace(hyper_for("beta2"), meaning="how much of the largest gradient so far is kept")


@rule(
    title="Adamax",
    slots={"t": "step", "m": "exp_avg", "v": "exp_inf"},
    source="torch.optim.Adamax, after Kingma & Ba 2015, algorithm 2",
)
def adamax(w, d, t=0, m=0, v=0, *, lr=2e-3, beta1, beta2=OF_LARGEST, eps):
    t = yield "t", t + 1
    m = yield "m", beta1 * m + (1 - beta1) * d
    v = yield "v", maximum(beta2 * v, abs(d) + eps)
    return w - lr / (1 - beta1**t) * m / v


ADAPTIVE = (adam, adamw, amsgrad, nadam, radam, rmsprop, adagrad, adadelta, adamax)
