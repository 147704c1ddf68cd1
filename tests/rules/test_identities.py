"""The identities between conventions, exactly, and the amounts by which they part."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.rules import DECAYS, RULES, SGD_FAMILY, get

number = st.fractions(-4, 4, max_denominator=16)
rate = st.fractions("1/16", 1, max_denominator=16)
part = st.fractions("1/16", "15/16", max_denominator=16)  # of (0, 1)
few = settings(max_examples=10)
gradients = st.lists(number, min_size=2, max_size=6)


def path(rule, w, gradients, lrs=None, look=False, **hyper):
    """Every w of a run (or, with `look`, every point where the gradient is taken), in Fractions."""
    hyper = {"decay": "l2", **{k: v for k, v in hyper.items() if k in {x.name for x in rule.hypers}}}
    h = rule.hyper(**hyper).map(Fraction)
    s, seen = rule.init(h, w), []
    for g, lr in zip(gradients, lrs or [h.lr] * len(gradients), strict=True):
        h = h.replace(lr=lr)
        w, s = rule.step(h, w, g, s)
        seen.append(rule.point(h, w, s) if look else w)
    return seen


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", DECAYS)
@few
@given(w=number, gs=gradients, lr=rate, momentum=part, weight_decay=part)
def test_sum_and_velocity_agree_while_lr_is_constant(decay, nesterov, w, gs, lr, momentum, weight_decay):
    options = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
    options |= {"decay": decay, "weight_decay": weight_decay, "lr_max": 1}
    assert path(get("T"), w, gs, **options) == path(get("K"), w, gs, **options)


@pytest.mark.parametrize("decay", DECAYS)
@few
@given(w=number, gs=gradients, lr=rate, new=rate, momentum=part, nesterov=st.booleans(), weight_decay=part)
def test_a_new_lr_parts_sum_and_velocity_by_the_old_buffer(
    decay, w, gs, lr, new, momentum, nesterov, weight_decay
):
    options = {"momentum": momentum, "nesterov": nesterov}
    options |= {"decay": decay, "weight_decay": weight_decay, "lr_max": 1}
    ends = []
    for rule in (get("T"), get("K")):
        h, at = rule.hyper(lr=lr, **options).map(Fraction), w
        s = rule.init(h, at)
        for g in gs[:-1]:
            at, s = rule.step(h, at, g, s)
        ends.append((rule.step(h.replace(lr=new), at, gs[-1], s)[0], s))
    (sum_, state), (velocity, _) = ends
    ahead = momentum if nesterov else 1  # Nesterov looks one step ahead: once more μ
    shrunk = 1 - new * weight_decay if decay == "after_step" else 1
    assert velocity - sum_ == shrunk * ahead * momentum * state["momentum_buffer"] * (new - lr)


@given(w=number, gs=gradients, lr=rate, momentum=part, other=part, nesterov=st.booleans())
def test_a_new_momentum_does_not_part_them(w, gs, lr, momentum, other, nesterov):
    ends = []
    for rule in (get("T"), get("K")):
        h, at = rule.hyper(lr=lr, momentum=momentum, nesterov=nesterov), w
        s = rule.init(h, w)
        for i, g in enumerate(gs):
            at, s = rule.step(h.replace(momentum=other) if i else h, at, g, s)
        ends.append(at)
    assert ends[0] == ends[1]


@given(w=number, gs=gradients, lr=rate, momentum=part, dampening=part, nesterov=st.booleans())
def test_where_dampening_starts(w, gs, lr, momentum, dampening, nesterov):
    options = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
    assert (
        path(get("P"), w, gs, **options)
        == path(get("P0"), w, gs, **options)
        == path(get("T"), w, gs, **options)
    )
    del options["nesterov"]
    first, first0 = (path(get(x), w, gs, dampening=dampening, **options)[0] for x in ("P", "P0"))
    assert w - first0 == (1 - dampening) * (w - first)


@given(w=number, gs=gradients, lr=rate, momentum=part)
def test_mean_is_sum_with_a_smaller_lr(w, gs, lr, momentum):
    small = lr * (1 - momentum)
    assert path(get("E0"), w, gs, lr=lr, momentum=momentum) == path(
        get("T"), w, gs, lr=small, momentum=momentum
    )
    assert path(get("E1"), w, gs, lr=lr, momentum=momentum) == path(
        get("P"), w, gs, lr=lr, momentum=momentum, dampening=momentum
    )


@given(w=number, gs=gradients, lr=rate, new=rate, momentum=part, weight_decay=part)
def test_lookahead_point_of_sutskever_is_keras_nesterov(w, gs, lr, new, momentum, weight_decay):
    lrs = [lr] * (len(gs) - 1) + [new]
    options = {"momentum": momentum, "weight_decay": weight_decay}
    assert path(get("SN"), w, gs, lrs, look=True, **options) == path(
        get("K"), w, gs, lrs, nesterov=True, **options
    )


@given(w=number, gs=gradients, lr=rate, new=rate, momentum=part, weight_decay=part, moved=number)
def test_heavy_ball_is_keras_until_w_is_moved(w, gs, lr, new, momentum, weight_decay, moved):
    ends = {}
    for rule in (get("HB"), get("K")):
        h, at = rule.hyper(lr=lr, momentum=momentum, weight_decay=weight_decay, decay="l2"), w
        s = rule.init(h, w)
        for g in gs:
            at, s = rule.step(h, at, g, s)
        ends[rule.name, "still"] = rule.step(h.replace(lr=new), at, gs[0], s)[0]
        ends[rule.name, "moved"] = rule.step(h, at + moved, gs[0], s)[0]
    assert ends["heavy_ball", "still"] == ends["keras", "still"]
    assert ends["heavy_ball", "moved"] - ends["keras", "moved"] == momentum * moved


@pytest.mark.parametrize("name", [r.name for r in RULES.values() if r.exact and r.name != "heavy_ball"])
@few
@given(w=number, gs=gradients, lr=rate, momentum=part, weight_decay=part)
def test_decay_before_and_beside_the_step_are_one(name, w, gs, lr, momentum, weight_decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eps": Fraction(1, 8)}
    before, beside = (path(get(name), w, gs, decay=d, **options) for d in ("decoupled", "after_momentum"))
    assert before == beside


@given(w=number, g=number, then=number, lr=rate, momentum=part, weight_decay=part)
def test_but_not_for_the_heavy_ball(w, g, then, lr, momentum, weight_decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    before, beside, l2 = (
        path(get("HB"), w, [g, then], decay=d, **options) for d in ("decoupled", "after_momentum", "l2")
    )
    assert beside == l2
    assert before[0] == beside[0]
    assert before[1] - beside[1] == -momentum * lr * weight_decay * (before[0] - w)


@pytest.mark.parametrize("name", [r.name for r in RULES.values() if r.exact])
@few
@given(w=number, gs=gradients, lr=rate, momentum=part, weight_decay=part)
def test_by_how_much_decay_after_the_step_differs(name, w, gs, lr, momentum, weight_decay):
    rule, options = get(name), {"lr": lr, "momentum": momentum, "eps": Fraction(1, 8)}
    options = {k: v for k, v in options.items() if k in {x.name for x in rule.hypers}}
    h = rule.hyper(**options, decay="l2").map(Fraction)
    s = rule.init(h, w)
    for i, g in enumerate(gs):
        moved = rule.step(h, w, g, s)[0] - w
        before, after = (
            rule.step(h.replace(weight_decay=weight_decay, decay=d), w, g, s)[0]
            for d in ("decoupled", "after_step")
        )
        more = momentum * lr * weight_decay * w if name == "heavy_ball" and i else 0
        assert after == before - lr * weight_decay * moved + more
        w, s = rule.step(h, w, g, s)


@pytest.mark.parametrize("name", [r.name for r in SGD_FAMILY if r.name not in ("lion", "signsgd")])
@few
@given(w=number, gs=gradients, lr=rate, dampening=part)
def test_without_momentum_all_are_gradient_descent(name, w, gs, lr, dampening):
    ends = [w]
    for g in gs:
        ends.append(ends[-1] - lr * g)
    assert path(get(name), w, gs, lr=lr, momentum=0, dampening=dampening) == ends[1:]


GAINS = {  # what the first gradient counts, at λ = 0
    **dict.fromkeys(["P", "T", "K", "SN", "HB", "E1", "EB"], lambda m, t: 1),
    "P0": lambda m, t: 1 - t,
    "E0": lambda m, t: 1 - m,
    "EN": lambda m, t: 1 - m**2,
    "CN": lambda m, t: 1 + m + m**2,
}


@pytest.mark.parametrize("name", GAINS)
@few
@given(w=number, g=number, lr=rate, momentum=part, dampening=part)
def test_gain_at_the_first_step(name, w, g, lr, momentum, dampening):
    (after,) = path(get(name), w, [g], lr=lr, momentum=momentum, dampening=dampening)
    assert w - after == lr * g * GAINS[name](momentum, dampening)


@pytest.mark.parametrize("name", ["P", "T", "K"])
@few
@given(w=number, g=number, lr=rate, momentum=part)
def test_gain_of_nesterov(name, w, g, lr, momentum):
    (after,) = path(get(name), w, [g], lr=lr, momentum=momentum, nesterov=True)
    assert w - after == lr * g * (1 + momentum)


@given(g=number, beta1=part)
def test_gain_of_lion_before_the_sign(g, beta1):
    lion = get("L")
    h = lion.hyper(beta1=beta1)
    assert lion.lines(h, Fraction(0), g, lion.init(h, Fraction(0)))[0].value == (1 - beta1) * g


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda r: r.name)
def test_corrected_decay_is_decoupled_at_the_highest_lr(rule):
    h = rule.hyper(lr=0.5, weight_decay=0.25, decay="corrected", lr_max=0.5)
    s = rule.init(h, 3.0)
    assert rule.step(h, 3.0, 1.5, s) == rule.step(h.replace(decay="decoupled"), 3.0, 1.5, s)
    lower = h.replace(lr=0.25)  # γ²/γ_max = 1/8
    still = rule.step(lower.replace(weight_decay=0), 3.0 * (1 - 0.25 / 8), 1.5, s)
    assert rule.step(lower, 3.0, 1.5, s) == still


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda r: r.name)
@pytest.mark.parametrize("decay", DECAYS)
def test_maximize_is_the_rule_on_the_other_gradient(rule, decay):
    h = rule.hyper(lr=0.5, weight_decay=0.25, decay=decay, lr_max=1)
    s = rule.init(h, 3.0)
    assert rule.step(h.replace(maximize=True), 3.0, 1.5, s) == rule.step(h, 3.0, -1.5, s)
