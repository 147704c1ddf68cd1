"""Each conversion is replayed exactly, over 50 steps; what has no equivalent says why."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.rules import SGD_FAMILY, convert, get, rule
from surefoot.rules.agree import agree

LINEAR = [r.name for r in SGD_FAMILY if r.name not in ("lion", "signsgd")]


def points(r, h, steps=50):
    """Where the gradient is taken after each step."""
    w = Fraction(3)
    s, seen = r.init(h, w), []
    for t in range(steps):
        g = Fraction((7 * t * t + 3 * t) % 11 - 5)  # without pattern, and small
        w, s = r.step(h, w, g, s)
        seen.append(r.point(h, w, s))
    return seen


@pytest.mark.parametrize(("source", "target"), list(product(LINEAR, LINEAR)))
@settings(max_examples=3)
@given(data=st.data())
def test_what_is_converted_makes_the_same_steps(source, target, data):
    r = get(source)
    part = st.sampled_from(["1/2", "1/4", "3/4", "0"]).map(Fraction)
    given_ = {
        "lr": Fraction(1, 8),
        "momentum": data.draw(part),
        "decay": data.draw(st.sampled_from(["l2", "decoupled"])),
    }
    given_ |= {"weight_decay": data.draw(part), "lr_max": 1}
    given_ |= {x.name: data.draw(part) for x in r.hypers if x.name == "dampening"}
    given_ |= {x.name: data.draw(st.booleans()) for x in r.hypers if x.name == "nesterov"}
    c = convert(source, target, **given_)
    if c.hyper is None:
        assert c.holds
        assert source != target
    else:
        assert points(r, c.given) == points(get(target), c.hyper)


IDENTITIES = [  # source, target, given, what comes of it
    ("keras", "torch", {"lr": 0.01, "momentum": 0.9}, {"lr": 0.01, "momentum": 0.9, "dampening": 0}),
    ("keras", "torch", {"lr": 0.01, "momentum": 0.9, "nesterov": True}, {"lr": 0.01, "nesterov": True}),
    ("torch", "keras", {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "nesterov": False}),
    ("mlx", "torch", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, {"lr": 0.05, "dampening": 0}),
    ("ema", "torch", {"lr": 1, "momentum": 0.9}, {"lr": 0.1, "dampening": 0}),
    ("muon", "optax", {"lr": 1, "momentum": 0.9}, {"lr": 0.1, "nesterov": True}),
    ("muon", "keras", {"lr": 1, "momentum": 0.9, "weight_decay": 0.1}, {"lr": 0.1, "weight_decay": 1}),
    ("ema_first", "torch", {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "dampening": 0.9}),
    ("torch", "ema_first", {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}, {"lr": 0.1}),
    ("heavy_ball", "keras", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.5}, {"decay": "l2"}),
    ("sutskever", "keras", {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "nesterov": True}),
    ("lion", "signsgd", {"lr": 0.1, "beta1": 0.9, "beta2": 0.9}, {"momentum": 0.9}),
    ("lion", "signsgd", {"lr": 0.1, "beta1": 0, "beta2": 0.9}, {"momentum": 0}),
    ("signsgd", "lion", {"lr": 0.1, "momentum": 0.8}, {"beta1": 0.8, "beta2": 0.8}),
    ("radam", "ema_corrected", {"lr": 0.1, "beta1": 0.9, "beta2": 0.6}, {"momentum": 0.9}),
    ("caffe", "torch", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, {"decay": "l2"}),
    ("adam", "adamw", {"lr": 0.1}, {"lr": 0.1, "weight_decay": 0}),
    ("adam", "amsgrad", {"lr": 0.1, "amsgrad": True}, {"amsgrad": True}),
    ("chainer_nag", "mlx", {"lr": 0.1, "momentum": 0.25}, {"lr": 0.125, "dampening": 0.8, "nesterov": True}),
    ("mlx", "chainer_nag", {"lr": 0.125, "momentum": 0.25, "dampening": 0.8, "nesterov": True}, {"lr": 0.1}),
    ("mlx", "ema", {"lr": 0.1, "momentum": 0.9, "dampening": 1, "nesterov": True}, {"momentum": 0}),
    ("mlx", "torch", {"lr": 0.1, "momentum": 0.9, "dampening": 1, "nesterov": True}, {"momentum": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given_", "expected"), IDENTITIES)
def test_known_identities(source, target, given_, expected):
    got = convert(source, target, **given_).hyper
    assert {k: got[k] for k in expected} == {
        k: v if isinstance(v, (str, bool)) else Fraction(str(v)) for k, v in expected.items()
    }


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_amount_by_which_a_schedule_parts_them_is_the_one_given(nesterov):
    c = convert("keras", "torch", lr=0.5, momentum=0.75, nesterov=nesterov)
    assert ("μ² b (γ_new − γ_old)" if nesterov else "μ b (γ_new − γ_old)") in c.schedule.replace("\n", " ")
    torch, keras = get("torch"), get("keras")
    w1, b = torch.step(c.hyper, Fraction(0), Fraction(2), torch.init(c.hyper, 0))
    w2, v = keras.step(c.given, Fraction(0), Fraction(2), keras.init(c.given, 0))
    assert b["momentum_buffer"] == -v["velocity"] / Fraction("0.5")
    ahead = torch.step(c.hyper.replace(lr=1), w1, Fraction(1), b)[0]
    behind = keras.step(c.given.replace(lr=1), w2, Fraction(1), v)[0]
    assert behind - ahead == Fraction("0.75") ** (1 + nesterov) * b["momentum_buffer"] * (1 - Fraction("0.5"))


PAIRS = [(a, b) for a, b in product(LINEAR, LINEAR) if a != b]


def _all(**more):
    """Each conversion that there is, without Nesterov and with it where the source has that option."""
    for source, target in PAIRS:
        own = {x.name for x in get(source).hypers}
        for nesterov in (False, True)[: 1 + ("nesterov" in own)]:
            c = convert(source, target, **more, **({"nesterov": True} if nesterov else {}))
            if c.hyper is not None:
                yield c


def _after(r, h, gradients=(2, -1, 5), w=3):
    """W and the state after some steps."""
    w = Fraction(w)
    s = r.init(h, w)
    for g in map(Fraction, gradients):
        w, s = r.step(h, w, g, s)
    return w, s


def _factor(written):
    """`−10/3 × ` as a number."""
    if not (number := written.strip().removesuffix("×").strip()):
        return Fraction(1)
    return Fraction(re.sub(r".*\((.*)\)", r"\1", number).replace("−", "-"))


@pytest.mark.parametrize("momentum", [Fraction(3, 10), Fraction(1, 2)])
def test_every_parting_by_a_new_lr_is_as_large_as_is_said(momentum):
    seen = set()
    for c in _all(lr=Fraction(3, 10), momentum=momentum):
        if "above" not in c.schedule:
            continue
        ends = {}
        for r, h in ((c.source, c.given), (c.target, c.hyper)):
            w, s = _after(r, h)
            new = h.replace(lr=h.lr / 3)
            w, s2 = r.step(new, w, Fraction(7), s)
            ends[r.name] = r.point(new, w, s2) if "the point where" in c.schedule else w, s, h.lr
        holder = re.search("what (.*) carries over", c.schedule)[1]
        other = next(x for x in ends if x != holder)
        b, lr = ends[other][1]["momentum_buffer"], ends[other][2]
        above = momentum ** (1 + ("μ²" in c.schedule)) * b * (lr / 3 - lr)
        assert ends[holder][0] - ends[other][0] == above, str(c)
        seen.add((c.source.name, c.target.name))
    assert len(seen) > 10
    assert {("sutskever", "torch"), ("torch", "sutskever")} <= seen


@pytest.mark.parametrize("momentum", [Fraction(3, 10), Fraction(1, 2)])
def test_who_carries_over_what_is_said_gets_the_same_steps(momentum):
    seen = set()
    for c in _all(lr=Fraction(3, 10), momentum=momentum):
        if not c.state:
            continue
        w, s = _after(c.source, c.given)
        old = s[c.source.slots[0].name]
        new = old * _factor(re.search("= (.*?)(velocity|momentum_buffer) of", c.state)[1])
        w2 = w
        if found := re.search(r"and w of \w+ = w \+ (.*)velocity", c.state):
            w2 = w + _factor(found[1]) * old
        elif found := re.search(r"and w of \w+ = w of \w+ − (.*)that velocity", c.state):
            w2 = w - _factor(found[1]) * new
        s2 = {**_after(c.target, c.hyper)[1], c.target.slots[0].name: new}
        assert c.source.point(c.given, w, s) == c.target.point(c.hyper, w2, s2), str(c)
        for g in map(Fraction, (7, -4, 1)):
            w, s = c.source.step(c.given, w, g, s)
            w2, s2 = c.target.step(c.hyper, w2, g, s2)
            assert c.source.point(c.given, w, s) == c.target.point(c.hyper, w2, s2), str(c)
        seen.add((c.source.name, c.target.name))
    assert {("keras", "torch"), ("ema", "torch"), ("sutskever", "torch"), ("torch", "sutskever")} <= seen


def test_what_is_0_now_is_not_taken_to_stay_0():
    c = convert("optax", "keras", lr=0, momentum=0.9)  # the start of a warm-up
    assert "while lr does not change" in c.holds
    assert "If lr changes, they diverge" in c.schedule
    assert "while momentum does not change" in convert("ema", "torch", lr=0.1).holds
    assert "while momentum does not change" in convert("torch", "mlx", lr=0.1, dampening=0.5).holds
    c = convert("ema", "optax", lr=0, momentum=0.9)
    assert c.schedule.startswith("If lr changes, give optax 0.1 times that of ema; then they still agree.")
    assert c.schedule.endswith("If momentum changes, they diverge: these values are for 0.9.")
    assert convert("torch", "mlx", lr=0).schedule == (
        "If lr changes, give both the same lr; then they still agree."
    )
    c = convert("optax", "keras", lr=0.1)  # a new lr parts them once there is momentum
    assert c.holds == "They take the same steps, from the first on."
    assert c.schedule.endswith("then they still agree while momentum is 0.")
    c = convert("keras", "heavy_ball", lr=0.1)
    assert c.holds.endswith("With momentum they diverge if anything else changes w between steps.")


def test_what_a_library_itself_does_not_do_is_said():
    mlx = {"lr": 0.125, "momentum": 0.25, "dampening": 0.8, "nesterov": True}
    said = "mlx.optimizers.SGD itself refuses nesterov with dampening."
    assert said in convert("mlx", "chainer_nag", **mlx).holds
    assert said in convert("chainer_nag", "mlx", lr=0.1, momentum=0.25).holds
    below = convert("mlx", "torch", lr=0.1, momentum=0.9, dampening=-0.5)
    assert "mlx.optimizers.SGD itself treats a dampening below 0 as 0." in below.holds
    idle = convert("torch", "optax", lr=0.1, nesterov=True)
    assert "torch.optim.SGD itself refuses nesterov without momentum." in idle.holds
    assert "itself" not in convert("torch", "mlx", lr=0.1, momentum=0.9, nesterov=True).holds


WITHOUT = [
    ("torch", "keras", {"momentum": 0.9, "dampening": 0.5}, "but the first, which counts 2 times"),
    ("ema_corrected", "torch", {"momentum": 0.9}, "No lr, momentum or option of torch weighs"),
    ("chainer_nag", "torch", {"momentum": 0.9}, "agrees on every gradient but the first"),
    ("chainer_nag", "optax", {"momentum": 0.9}, "No lr, momentum or option of optax weighs"),
    ("adam", "torch", {}, "torch steps by a sum of past gradients"),
    ("torch", "lion", {}, "torch steps by a sum"),
    ("lion", "signsgd", {"beta1": 0.9, "beta2": 0.99}, "is not the sign of any mean that signsgd keeps"),
    ("lion", "signsgd", {"beta1": 0.95, "beta2": 0.9}, "is not the sign of any mean that signsgd keeps"),
    ("lion", "signsgd", {"beta1": 0.9000001, "beta2": 0.9}, "is not the sign of any mean that signsgd keeps"),
    ("lion", "adam", {}, "scale their steps in different ways"),
    ("radam", "ema_corrected", {"beta1": 0.9, "beta2": 0.7}, "radam does not"),
    ("radam", "ema_corrected", {"beta1": 0.9, "beta2": Fraction("0.66666666666666666667")}, "radam does not"),
    ("adam", "rmsprop", {}, "scale their steps in different ways"),
    ("heavy_ball", "torch", {"momentum": 0.5, "weight_decay": 0.5, "decay": "no_lr"}, "No weight decay"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given_", "why"), WITHOUT)
def test_no_equivalent_says_why(source, target, given_, why):
    c = convert(source, target, lr=0.1, **given_)
    assert c.hyper is None
    assert why in c.holds
    assert "there is no equivalent" in str(c)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.95, 0.9), (0.9, 0.95), (0.5, 0.4), (0.9, 0.88)])
def test_a_sign_that_seldom_differs_is_found_to_differ(beta1, beta2):
    lion, signsgd = get("lion"), get("signsgd")
    h = lion.hyper(lr=1, beta1=beta1, beta2=beta2).map(lambda x: Fraction(str(x)))
    h2 = signsgd.hyper(lr=1, momentum=beta1).map(lambda x: Fraction(str(x)))
    assert not agree(lion, h, signsgd, h2)
    assert agree(lion, h.replace(beta2=h.beta1), signsgd, h2)


def test_a_formula_that_changes_late_is_found_to_change():
    radam, ema = get("radam"), get("ema_corrected")
    h, h2 = radam.hyper(lr=1, beta1=0.5, beta2=0.7), ema.hyper(lr=1, momentum=0.5)
    exact = [x.map(lambda x: Fraction(str(x))) for x in (h, h2, h.replace(beta2=0.6))]
    assert not agree(radam, exact[0], ema, exact[1])  # they part at step 10
    assert agree(radam, exact[2], ema, exact[1])


def test_a_rule_that_makes_no_steps_agrees_with_none():
    for given_ in ({"alpha": 2}, {"alpha": 0, "eps": 0, "centered": True}):
        c = convert("rmsprop", "rmsprop", **given_)
        assert c.hyper is None
        assert c.holds == "With these values rmsprop divides by 0 or takes the root of a negative number."


def test_the_call_is_one_line_however_long():
    c = convert("muon", "torch", lr=0.02123456, momentum=0.951234, weight_decay=0.123456)
    first, *others = str(c).splitlines()
    assert first.endswith("weight_decay=2.5316 (61728/24383), decay=decoupled)")
    assert max(map(len, others)) <= 100


def test_conditions_are_told():
    assert "while lr does not change" in convert("torch", "keras", momentum=0.9).holds
    assert "while momentum does not change" in convert("torch", "ema", momentum=0.9).holds
    assert "changes w between steps" in convert("keras", "heavy_ball", momentum=0.9).holds
    assert (
        "point where it takes the gradient"
        in convert("keras", "sutskever", momentum=0.9, nesterov=True).holds
    )
    assert "w shrinks by γλ" in convert("keras", "torch", momentum=0.9, weight_decay=0.1).holds
    assert convert("keras", "torch", momentum=0, weight_decay=0.1).hyper.decay == "l2"
    assert convert("keras", "torch", momentum=0.9, lr=0.01).state.endswith(
        "torch = −100 × velocity of keras."
    )


def test_what_the_source_does_not_have_may_be_0():
    assert convert("keras", "torch", momentum=0.9, dampening=0).hyper.dampening == 0
    with pytest.raises(InputError, match="Unknown hyperparameter 'dampening'"):
        convert("keras", "torch", momentum=0.9, dampening=0.5)


def test_a_rule_of_the_users_own_takes_part():
    @rule
    def halved(w, g, b=0, *, lr, momentum):
        b = momentum * b + g / 2
        return w - lr * b, b

    assert convert(halved, "torch", lr=1, momentum=0.5).hyper.lr == Fraction(1, 2)
    assert convert("torch", halved, lr=1, momentum=0.5).hyper.lr == 2


def test_a_rule_without_slots_is_converted():
    @rule
    def square(w, g, *, lr):
        return w - lr * lr * g

    there = convert(square, "torch", lr=0.5)
    assert there.hyper is not None
    assert there.hyper.lr == Fraction(1, 4)
    assert there.schedule == "If lr changes, they diverge: these values are for this lr."
    assert there.state == ""


def test_a_rule_without_lr_is_refused():
    @rule
    def own(w, g, *, rate):
        return w - rate * g

    for pair in (own, "torch"), ("torch", own):
        with pytest.raises(InputError, match=r"takes rate, .*; only a rule that takes lr can be converted"):
            convert(*pair)


def test_a_rule_with_weight_decay_of_its_own_is_converted():
    @rule
    def shrinks(w, g, *, lr, weight_decay=0.5):
        return (1 - lr * weight_decay) * w - lr * g

    @rule
    def fades(w, g, *, lr, decay=0.5):
        return w - lr * (g + decay * w)

    there = convert(shrinks, "torch", lr=0.5)
    assert there.hyper is not None
    assert (there.hyper.lr, there.hyper.weight_decay) == (Fraction(1, 2), Fraction(1, 2))
    assert convert("torch", shrinks, lr=0.5, weight_decay=0.5).hyper is None
    assert convert("torch", fades, lr=0.5, weight_decay=0.5).hyper is None
    assert "fades(lr=0.5, decay=0.25)" in str(convert(fades, "torch", lr=0.5, decay=0.25))


def test_a_rule_of_the_users_own_is_none_of_ours_of_its_name():
    @rule
    def lion(w, g, m=0, *, lr, beta1=0.5):
        m = beta1 * m + g
        return w - lr * m, m

    there = convert(lion, "optax", lr=0.5, beta1=0.25)
    assert there.hyper is not None
    assert there.hyper.momentum == Fraction(1, 4)


def test_what_must_stay_is_told_in_good_english() -> None:
    assert (
        "while lr and momentum do not change"
        in convert("torch", "sutskever", momentum=0.9, nesterov=True).holds
    )


def test_a_prompt_shows_what_print_does():
    found = convert("keras", "torch", lr=0.01, momentum=0.9)
    assert repr(found) == str(found)


def test_what_no_rule_has_is_no_hyperparameter():
    assert convert("ema", "torch", lr=0.1, dampening=0).hyper is not None  # torch has it
    with pytest.raises(
        InputError, match="Unknown hyperparameter 'weight_deacy'; did you mean 'weight_decay'"
    ):
        convert("torch", "ema", lr=0.1, weight_deacy=0)
    for x in (float("inf"), float("nan")):
        with pytest.raises(InputError, match=r"finite|number"):
            convert("torch", "ema", lr=x)


def test_what_the_target_refuses_is_not_advised():
    assert dict(convert("keras", "torch", lr=0.1, nesterov=True).hyper)["nesterov"] is False
    assert convert("mlx", "torch", lr=0.1, momentum=0.9, dampening=1.5).hyper is None
    said = convert("mlx", "torch", lr=0.1, momentum=0.9, dampening=0.5, nesterov=True).holds
    assert "torch.optim.SGD itself refuses nesterov with dampening" in said
    assert said.endswith(
        "agrees on every gradient but the first, which counts differently in mlx, and not by a single factor."
    )


@pytest.mark.parametrize(
    "more", [{"decay": "no_lr"}, {"decay": "corrected", "lr_max": 1}, {"decay": "decoupled"}]
)
def test_what_a_changed_lr_does_is_so_with_weight_decay_too(more):
    found = convert("torch", "keras", lr=1, momentum=0.5, weight_decay=0.01, **more)
    agrees = "multiply both by the same factor" in found.schedule
    h, h2 = found.given, found.hyper
    then = h.replace(lr=h.lr / 4), h2.replace(lr=h2.lr / 4)
    assert agree(get("torch"), h, get("keras"), h2, then=then) == agrees
    assert "above" not in found.schedule  # by how much is known without decay alone
