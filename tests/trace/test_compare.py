"""Comparing traces: the first number that differs, bit for bit or within what rounding allows."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import InputError
from surefoot.rules import get
from surefoot.trace import Group, Mismatch, Move, Script, Set, Step, compare, magnitudes, record, replay
from surefoot.trace.compare import leeway

DYADIC = st.integers(-16, 16).map(lambda k: Fraction(k, 8))
GRADIENTS = [{"v": [1, 0, 2], "w": 1}, {"v": [0, 0, -1], "w": -0.5}, {"v": [0.5, 1, 0]}]
OPTIONS = {"lr": 0.25, "momentum": 0.75, "dampening": 0.5, "weight_decay": 0.125}


def script_of(**changes):
    return Script.of({"v": [0, 1, 3], "w": 1}, gradients=GRADIENTS, **{**OPTIONS, **changes})


def wrong(**changes):
    return lambda parameters, **options: torch.optim.SGD(parameters, **{**options, **changes})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_agrees_bit_for_bit_on_dyadic_numbers(dtype):
    script = script_of()
    assert compare(replay(script, "torch"), record(script, torch.optim.SGD, dtype=dtype)) is None


@settings(max_examples=25)
@given(st.lists(st.tuples(DYADIC, DYADIC), min_size=1, max_size=3), st.booleans(), st.booleans(), st.data())
def test_torch_agrees_on_any_short_dyadic_script(gradients, nesterov, maximize, data):
    steps = [
        Step(
            {"v": g},
            data.draw(
                st.sampled_from([(), (Set("lr", 0.5),), (Set("momentum", 0.5),), (Move("v", [1, 2]),)])
            ),
        )
        for g in gradients
    ]
    options = {
        "lr": 0.25,
        "momentum": 0.75,
        "weight_decay": 0.125,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    script = Script({"v": [0, 1]}, (Group(("v",), options),), tuple(steps))
    assert compare(replay(script, "torch"), record(script, torch.optim.SGD)) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"momentum": 0.5}, Mismatch(2, "v", (0,), "momentum_buffer", Fraction(47, 64), Fraction(31, 64), 0)),
        ({"weight_decay": 0.0}, Mismatch(1, "v", (1,), "momentum_buffer", Fraction(1, 8), Fraction(0), 0)),
        ({"lr": 0.5}, Mismatch(1, "v", (0,), "w", Fraction(-1, 4), Fraction(-1, 2), 0)),
    ],
)
def test_the_first_number_is_named(changes, expected):
    script = script_of()
    found = compare(replay(script, "torch"), record(script, wrong(**changes)))
    assert (found.step, found.name, found.index, found.slot) == (
        expected.step, expected.name, expected.index, expected.slot,
    )  # fmt: skip
    assert (found.expected, found.got, found.allowed) == (expected.expected, expected.got, 0.0)


def test_it_says_so_in_a_sentence():
    script = script_of()
    found = compare(replay(script, "torch"), record(script, wrong(lr=0.5)))
    assert str(found) == "At step 1, v[0] is -0.5, but should be -0.25."
    assert Mismatch(2, "w", (), "momentum_buffer", 1, 2, 0.0).place == "momentum_buffer of w"
    assert Mismatch(2, "v", (1, 0), "w", 1, 2, 0.0).place == "v[1, 0]"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_long_runs_stay_within_the_bound(dtype, nesterov):
    generator = torch.Generator().manual_seed(1)

    def draw():
        return torch.randn(8, generator=generator).to(getattr(torch, dtype)).tolist()

    script = Script.of(
        {"w": draw()}, gradients=[{"w": draw()} for _ in range(50)],
        lr=0.01, momentum=0.9, weight_decay=0.01, nesterov=nesterov,
    )  # fmt: skip
    got, bounds = record(script, torch.optim.SGD, dtype=dtype), magnitudes(script, "torch")
    assert compare(replay(script, "torch"), got, bounds=bounds) is None
    assert compare(replay(script, "torch"), got) is not None
    local = replay(script, "torch", follow=got)
    assert compare(local, got, bounds=magnitudes(script, "torch", follow=got), local=True) is None


# not NAdam: torch keeps its mu_product in float32
@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
        ("adagrad", torch.optim.Adagrad),
        ("adadelta", torch.optim.Adadelta),
        ("adamax", torch.optim.Adamax),
    ],
)
def test_adaptive_rules_stay_within_the_bound(rule, optimizer):
    import mpmath

    generator = torch.Generator().manual_seed(2)
    gradients = [{"w": (torch.rand(4, generator=generator).double() + 0.5).tolist()} for _ in range(20)]
    script = Script.of({"w": [1, 2, 3, 4]}, gradients=gradients, lr=0.01, weight_decay=0.125)
    with mpmath.workdps(50):
        expected = replay(script, rule, lambda q: mpmath.mpf(q.numerator) / q.denominator)
        assert compare(expected, record(script, optimizer), bounds=magnitudes(script, rule)) is None


def test_the_bound_still_tells_a_wrong_momentum():
    script = script_of(momentum=0.9)
    got = record(script, wrong(momentum=0.9001))
    found = compare(replay(script, "torch"), got, bounds=magnitudes(script, "torch"))
    assert found.step == 2


class TwoSequences(torch.optim.SGD):
    """Nesterov's momentum by its two points, and no buffer; `narrow` has the gradient's move in float32."""

    narrow = False

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            mu = group["momentum"]
            for p in group["params"]:
                move = group["lr"] * p.grad
                y = p - (move.float().double() if self.narrow else move)
                before = self.state[p].get("y", p.clone())
                self.state[p]["y"] = y
                p.copy_((1 + mu) * y - mu * before)


class Narrow(TwoSequences):
    narrow = True


@pytest.mark.parametrize("mu", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("start", [0, 1, -4.375, 100])
def test_another_form_of_momentum_stays_within_a_wider_bound(mu, start):
    steps = [{"w": 1}] * 100
    script = Script.of({"w": start}, gradients=steps, lr=0.001, momentum=mu, nesterov=True)
    expected, bounds = replay(script, "torch", float), magnitudes(script, "torch")
    torchs = record(script, torch.optim.SGD)
    got, narrow = record(script, TwoSequences), record(script, Narrow)
    rule = get("torch")
    assert compare(expected, got, bounds=bounds, slots={}, forms=rule) is None
    assert compare(expected, torchs, bounds=bounds) is None  # and torch's own within the narrow one
    found = compare(expected, narrow, bounds=bounds, slots={}, forms=rule)
    assert found is not None
    assert found.step <= 2


def test_how_much_wider_it_is():
    steps = [Step({"w": 1}), Step({"w": 1}), Step({"w": 1}, (Set("momentum", 0),))]
    script = Script({"w": 0}, (Group(("w",), {"lr": 1, "momentum": 0.5}),), steps)
    bounds = magnitudes(script, "torch")
    assert leeway(bounds, get("torch")) == [[4], [6], [2]]
    assert leeway(bounds, get("adam")) == [[1]] * 3


def test_a_velocity_may_be_kept_as_a_difference():
    class Kept(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    v = self.state[p].get("velocity", torch.zeros_like(p))
                    new = p + (group["momentum"] * v - group["lr"] * p.grad)
                    self.state[p]["velocity"] = new - p
                    p.copy_(new)

    script = Script.of({"w": 1000}, gradients=[{"w": 1}] * 20, lr=0.001, momentum=0.9)
    expected, bounds = replay(script, "keras", float), magnitudes(script, "keras")
    got = record(script, Kept)
    assert compare(expected, got, bounds=bounds).slot == "velocity"
    assert compare(expected, got, bounds=bounds, forms=get("keras")) is None


def test_nan_must_meet_nan():
    script = Script.of({"w": [1, 1]}, gradients=[{"w": [math.nan, math.inf]}], lr=1)
    got = record(script, torch.optim.SGD)
    assert compare(replay(script, "torch"), got) is None
    hidden = record(script, lambda p, **o: Cleaning(p, **o))
    found = compare(replay(script, "torch"), hidden)
    assert (found.index, found.slot, found.got) == ((0,), "w", 1)


class Cleaning(torch.optim.SGD):
    """Hides what is not finite."""

    def step(self, closure=None):
        """One step on cleaned gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = torch.nan_to_num(p.grad, nan=0.0, posinf=0.0)
        super().step()


def test_slots_may_have_other_names():
    class Renamed(torch.optim.SGD):
        def step(self, closure=None):
            super().step()
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["buf"] = self.state[p]["momentum_buffer"] + 1

    script = script_of()
    got = record(script, Renamed)
    assert compare(replay(script, "torch"), got) is None
    assert compare(replay(script, "torch"), got, slots={"buf": "momentum_buffer"}).slot == "buf"


def test_numbers_beyond_all_floats_are_compared_too():
    script = Script.of({"w": 1}, gradients=[{"w": 0}] * 200, lr=1, weight_decay=1001)
    exact = replay(script, "torch")
    assert compare(exact, exact, bounds=magnitudes(script, "torch")) is None
    assert compare(exact, record(script, torch.optim.SGD), bounds=magnitudes(script, "torch")) is not None


def test_traces_of_other_things_are_told():
    def played(start, count):
        script = Script.of(start, gradients=[start] * count, lr=0.5, momentum=0.5)
        return replay(script, "torch"), record(script, torch.optim.SGD)

    expected, _ = played({"w": 1}, 3)
    _, fewer = played({"w": 1}, 2)
    with pytest.raises(
        InputError, match=r"The traces have 3 and 2 steps; give both the same number, or partial=True"
    ):
        compare(expected, fewer)
    assert compare(expected, fewer, partial=True) is None
    for start, said in (
        ({"v": 1}, r"expected has w \(\), got has v \(\)"),
        ({"w": [1, 2]}, r"got has w \(2,\)"),
    ):
        with pytest.raises(InputError, match=said):
            compare(expected, played(start, 3)[1])


def test_a_bound_that_is_no_number_bounds_nothing():
    one, other = (replay(Script.of({"w": 1}, gradients=[{"w": 1}], lr=lr), "torch") for lr in (0.5, 0.25))
    nowhere = replay(Script.of({"w": math.nan}, gradients=[{"w": 1}], lr=0.5), "torch")
    got = dataclasses.replace(other, dtypes={"w": "float64"})
    assert compare(one, got) is not None
    assert compare(one, got, bounds=nowhere) is None


@pytest.mark.parametrize("wrong", ["expected", "got", "bounds"])
def test_what_is_no_trace_is_told(wrong):
    trace = replay(Script.of({"w": 1}, gradients=[{"w": 1}]), "torch")
    with pytest.raises(InputError, match=f"compare requires a Trace as {wrong}, from .*, not 'torch'"):
        compare(**{"expected": trace, "got": trace, "bounds": None, wrong: "torch"})
