"""Every rule that torch.optim has, against its plain loop in float64: random hyperparameters, 50 steps."""

from __future__ import annotations

import mpmath
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.rules import get
from surefoot.trace.magnitude import Magnitude

U, STEPS = 2.0**-53, 50
START = (0.0, 1.0, -3.0)

# steps of 1/1024, so that 1 − β is exact
beta = st.integers(0, 1023).map(lambda k: k / 1024)
amount = st.integers(0, 1024).map(lambda k: k / 1024)
small = st.integers(0, 26).map(lambda k: 2.0**-k)
some = st.just(0.0) | amount

# rule, torch's class, its options; betas are put together below
PAIRS = {
    "torch": ("torch", "SGD", {"momentum": some, "dampening": some}),
    "torch nesterov": (
        "torch",
        "SGD",
        {"momentum": st.integers(1, 1024).map(lambda k: k / 1024), "nesterov": st.just(True)},
    ),
    "adam": ("adam", "Adam", {"beta1": beta, "beta2": beta, "eps": small, "amsgrad": st.booleans()}),
    "adamw": ("adamw", "AdamW", {"beta1": beta, "beta2": beta, "eps": small, "amsgrad": st.booleans()}),
    "nadam": ("nadam", "NAdam", {"beta1": beta, "beta2": beta, "eps": small, "momentum_decay": amount}),
    "radam": ("radam", "RAdam", {"beta1": beta, "beta2": beta, "eps": small}),
    "adamax": ("adamax", "Adamax", {"beta1": beta, "beta2": beta, "eps": small}),
    "rmsprop": (
        "rmsprop",
        "RMSprop",
        {"alpha": beta, "eps": small, "momentum": some, "centered": st.booleans()},
    ),
    "adagrad": ("adagrad", "Adagrad", {"lr_decay": some, "initial_accumulator_value": some, "eps": small}),
    "adadelta": ("adadelta", "Adadelta", {"rho": amount, "eps": small}),
}
DECOUPLED = {"nadam", "radam"}  # torch has these both ways


def ours(rule, hyper, number, gradients):
    """The w and state of each element after each step, with our rule on numbers of that kind."""
    h = rule.hyper(**hyper).map(number)
    run = []
    for w, gs in zip(START, gradients.T.tolist(), strict=True):
        w, s, steps = number(w), rule.init(h, number(w)), []
        for g in gs:
            w, s = rule.step(h, w, number(g), s)
            steps.append({"w": w, **s})
        run.append(steps)
    return run


def theirs(cls, hyper, decay, gradients):
    """The same, with torch's plain loop."""
    options = dict(hyper)
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    if decay is not None:
        options["decoupled_weight_decay"] = decay == "decoupled"
    w = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = getattr(torch.optim, cls)([w], foreach=False, **options)
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        yield {
            "w": w.detach().clone(),
            **{k: torch.clone(v) for k, v in optimizer.state[w].items() if v is not None},
        }


@pytest.fixture
def double():
    """NAdam keeps its mu_product in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("pair", PAIRS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rule_is_torchs_loop(pair, data):
    name, cls, strategies = PAIRS[pair]
    hyper = {k: data.draw(s, k) for k, s in strategies.items()}
    hyper |= {"lr": data.draw(amount, "lr"), "weight_decay": data.draw(some, "weight_decay")}
    hyper["maximize"] = data.draw(st.booleans(), "maximize")
    decay = data.draw(st.sampled_from(["l2", "decoupled"]), "decay") if name in DECOUPLED else None
    rule = get(name) if decay is None else get(name).variant(decay=decay)
    seed = data.draw(st.integers(0, 999), "seed")
    gradients = torch.randn(
        STEPS, len(START), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )

    with mpmath.workdps(50):
        exact = ours(rule, hyper, mpmath.mpf, gradients)
        bounds = ours(rule, hyper, Magnitude.of, gradients)
        for t, got in enumerate(theirs(cls, hyper, decay, gradients)):
            for i, (want, bound) in enumerate(zip(exact, bounds, strict=True)):
                for slot in got:
                    if slot != "step" and slot in want[t] and got[slot].ndim:
                        error = abs(mpmath.mpf(got[slot][i].item()) - want[t][slot])
                        allowed = (4 + t + 1) * U * float(bound[t][slot])
                        assert error <= allowed, (slot, t, i, float(error / U), float(bound[t][slot]))


def test_the_state_is_named_as_in_torch():
    for name, cls, _ in PAIRS.values():
        w = torch.nn.Parameter(torch.ones(1))
        w.grad = torch.ones(1)
        options = {"momentum": 0.5} if name in ("torch", "rmsprop") else {}
        options |= {"centered": True} if name == "rmsprop" else {}
        optimizer = getattr(torch.optim, cls)([w], lr=0.1, **options)
        optimizer.step()
        kept = {x.name for x in get(name).slots} - {"max_exp_avg_sq"}
        assert kept == set(optimizer.state[w]) - ({"step"} if name in ("rmsprop", "adadelta") else set())


@pytest.mark.parametrize("pair", PAIRS)
def test_defaults_are_torchs(pair):
    name, cls, _ = PAIRS[pair]
    defaults = getattr(torch.optim, cls)([torch.nn.Parameter(torch.ones(1))]).defaults
    h = get(name).hyper()
    defaults["beta1"], defaults["beta2"] = defaults.get("betas", (None, None))
    for x in h:
        if x in defaults and defaults[x] is not None:
            assert h[x] == defaults[x], x
