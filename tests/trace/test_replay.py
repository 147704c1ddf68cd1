"""Replaying scripts on rules: exactly, on other numbers, step by step from recorded values."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import torch

from surefoot.errors import InputError
from surefoot.rules import rule
from surefoot.rules.numbers import sqrt
from surefoot.trace import Group, Move, Reload, Script, Set, Step, record, replay

F = Fraction


class Bowl:
    """f = Σ c·w², in exact numbers."""

    names = ("w",)

    def __init__(self, curvature):
        self.curvature = curvature

    def value(self, point, number=Fraction):
        """Return f."""
        return sum(number(c) * x**2 for c, x in zip(self.curvature, point["w"], strict=True))

    def gradient(self, point, number=Fraction):
        """Return 2cw."""
        return {"w": tuple(number(2 * c) * x for c, x in zip(self.curvature, point["w"], strict=True))}


def test_the_lecture_by_gradients():
    gradients = [
        {"a": ["18", "40.5"], "b": [-6, -4]},
        {"a": ["17.6775", "39.41388"], "b": ["-6.006", "-4.004"]},
    ]
    script = Script.of({"a": [2, 3], "b": [6, 4]}, gradients=gradients, lr=1e-3, momentum=0.9)
    first, second = replay(script, "torch").steps
    assert first.w["a"] == (F("1.982"), F("2.9595"))
    assert first.state["b"] == {"momentum_buffer": (-6, -4)}
    assert second.state["b"] == {"momentum_buffer": (F("-11.406"), F("-7.604"))}
    assert second.w["b"] == (F("6.017406"), F("4.011604"))


def test_a_function_is_differentiated_where_the_rule_looks():
    script = Script.of({"w": [1]}, function=Bowl([1]), steps=2, lr=0.25, momentum=0.5)
    torch_trace, ahead = replay(script, "torch"), replay(script, "sutskever")
    assert torch_trace.steps[1].point == torch_trace.steps[1].before
    # v₁ = −0.5, w₁ = 0.5: Sutskever looks at w₁ + μv₁ = 0.25
    assert ahead.steps[1].before["w"] == (F(1, 2),)
    assert ahead.steps[1].point["w"] == (F(1, 4),)
    assert ahead.steps[1].gradients["w"] == (F(1, 2),)


def test_no_momentum_no_state():
    trace = replay(Script.of({"w": 1}, gradients=[{"w": 1}], lr=1), "torch")
    assert trace.steps[0].state == {"w": {}}


def test_events_happen_before_the_step():
    steps = (
        Step({"w": 1}),
        Step({"w": 1}, (Set("lr", 2), Move("w", 10))),
        Step({}, (Reload(),)),
        Step({"w": 0}),
    )
    script = Script({"w": 0}, (Group(("w",), {"lr": 1, "momentum": 0.5}),), steps)
    trace = replay(script, "torch")
    assert [m.w["w"] for m in trace.steps] == [-1, 7, 7, F(11, 2)]
    assert trace.steps[1].before["w"] == 10
    assert trace.steps[2].gradients == {}
    assert trace.steps[1].options == ({"lr": 2, "momentum": F(1, 2)},)


def test_groups_differ_and_a_late_first_gradient_starts_its_own_buffer():
    groups = (
        Group(("v",), {"lr": 1, "momentum": 0.5}),
        Group(("w",), {"lr": 2, "dampening": 0.5, "momentum": 0.5}),
    )
    steps = (Step({"v": 1}), Step({"v": 1, "w": 1}), Step({"v": 1, "w": 1}))
    trace = replay(Script({"v": 0, "w": 0}, groups, steps), "torch")
    assert [m.w["v"] for m in trace.steps] == [-1, F(-5, 2), F(-17, 4)]
    assert [m.w["w"] for m in trace.steps] == [0, -2, -4]
    assert "w" not in trace.steps[0].state


def test_a_group_is_not_stepped_before_it_joins():
    groups = (Group(("v",), {"lr": 1}), Group(("w",), {"lr": 1}, joins=2))
    trace = replay(Script({"v": 0, "w": 0}, groups, (Step({"v": 1, "w": 1}),) * 2), "torch")
    assert [m.w["w"] for m in trace.steps] == [0, -1]


def test_defaults_are_the_decimals_they_look_like():
    trace = replay(Script.of({"w": 1}, gradients=[{"w": 1}]), "torch")
    assert trace.steps[0].w["w"] == F(999, 1000)


def test_other_numbers():
    script = Script.of({"w": [1, 2]}, gradients=[{"w": [3, -1]}] * 3, lr=0.125, momentum=0.5)
    exact = replay(script, "torch").steps[-1].w["w"]
    assert replay(script, "torch", float).steps[-1].w["w"] == exact
    with mpmath.workdps(50):
        assert replay(script, "torch", mpmath.mpf).steps[-1].w["w"] == exact


def test_only_slots_that_were_written_are_state():
    trace = replay(Script.of({"w": 1}, gradients=[{"w": 1}], centered=False), "rmsprop", float)
    assert trace.steps[0].state["w"].keys() == {"square_avg"}
    trace = replay(Script.of({"w": 0}, gradients=[{"w": 0}], momentum=0.5), "keras")
    assert trace.steps[0].state["w"] == {"velocity": 0}


def test_rules_with_roots_run_on_mpmath():
    script = Script.of({"w": 1.0}, gradients=[{"w": 0.5}] * 20, lr=0.01)
    with mpmath.workdps(50):
        exact = replay(script, "adam", mpmath.mpf)
    got = record(script, torch.optim.Adam)
    assert abs(float(exact.steps[-1].w["w"]) - float(got.steps[-1].w["w"])) < 1e-14


def test_each_step_from_recorded_values():
    def wrong_once(parameters, **options):
        class Wrong(torch.optim.SGD):
            count = 0

            def step(self, closure=None):
                super().step()
                self.count += 1
                if self.count == 1:
                    parameters[0].data.add_(1)

        return Wrong(parameters, **options)

    script = Script.of({"w": 1}, gradients=[{"w": 1}] * 3, lr=0.5, momentum=0.5)
    got = record(script, wrong_once)
    local = replay(script, "torch", follow=got)
    assert [m.w["w"] == n.w["w"] for m, n in zip(local.steps, got.steps, strict=True)] == [False, True, True]
    whole = replay(script, "torch")
    assert [m.w["w"] == n.w["w"] for m, n in zip(whole.steps, got.steps, strict=True)] == [
        False,
        False,
        False,
    ]


def test_recorded_state_is_taken_over_too():
    def reset(parameters, **options):
        class Forgets(torch.optim.SGD):
            def step(self, closure=None):
                super().step()
                self.state[parameters[0]]["momentum_buffer"].zero_()

        return Forgets(parameters, **options)

    script = Script.of({"w": 1}, gradients=[{"w": 1}] * 2, lr=0.5, momentum=0.5)
    local = replay(script, "torch", follow=record(script, reset))
    assert [m.state["w"]["momentum_buffer"] for m in local.steps] == [1, 1]


def test_state_that_the_rule_does_not_write_is_not_taken_over():
    class Keeps(torch.optim.SGD):  # at momentum 0 a buffer is of no use, and no fault
        def step(self, closure=None):
            super().step()
            for p in self.param_groups[0]["params"]:
                self.state[p]["momentum_buffer"] = p.grad.clone()

    script = Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 2}], lr=0.5, momentum=0)
    got = record(script, Keeps)
    local = replay(script, "torch", follow=got)
    assert [m.state["w"] for m in local.steps] == [{}, {}]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr": -1}, "At step 1: lr is -1; it must be a number with γ ≥ 0."),
        ({"nestrov": True}, "At step 1: Unknown hyperparameter 'nestrov'; did you mean 'nesterov'? Known: "),
    ],
)
def test_bad_options_say_the_step(options, sentence):
    with pytest.raises(InputError) as error:
        replay(Script.of({"w": 1}, gradients=[{"w": 1}], **options), "torch")
    assert str(error.value).startswith(sentence)


def test_a_schedule_that_leaves_the_domain_says_its_step():
    script = Script.of({"w": 1}, gradients=[{"w": 1}] * 3, lr=[1, 1, -0.5])
    with pytest.raises(InputError, match=r"^At step 3: lr is -0\.5; it must be a number with γ ≥ 0\.$"):
        replay(script, "torch")


def test_no_exact_reading():
    with pytest.raises(InputError, match=r"^At step 1: The square root of .* is not exact; "):
        replay(Script.of({"w": 1}, gradients=[{"w": 1}]), "adam")


def test_a_division_by_zero_says_its_step():
    @rule
    def shrinking(w, g, *, lr=1):
        return w - lr / g

    script = Script.of({"w": 1}, gradients=[{"w": 1}, {"w": 0}])
    with pytest.raises(InputError) as error:
        replay(script, shrinking)
    assert str(error.value) == "At step 2: a division by zero, or a number too large, in rule 'shrinking'."


def test_50_steps_of_ten_elements_stay_exact():
    start = [F(k, 7) for k in range(1, 11)]
    script = Script.of(
        {"w": start}, function=Bowl([F(k, 3) for k in range(1, 11)]), steps=50, lr=1e-3, momentum=0.9
    )
    last = replay(script, "torch").steps[-1].w["w"]
    assert all(isinstance(x, Fraction) for x in last)
    # the same by hand, for one element
    w, b = start[3], F(0)
    for t in range(50):
        g = 2 * F(4, 3) * w
        b = g if t == 0 else F(9, 10) * b + g
        w -= F(1, 1000) * b
    assert last[3] == w


def test_the_root_of_what_rounding_made_negative_says_its_step():
    @rule(exact=False, slots={"v": "v"})
    def falls(w, d, v=1, *, lr):
        v = yield "v", v - d
        return w - lr * sqrt(v)

    script = Script.of({"w": 1}, gradients=[{"w": 0.7}] * 60, lr=0.01)
    with pytest.raises(
        InputError,
        match=r"^At step 2: (math domain error|expected a nonnegative input, got -0\.\d+) in rule 'falls'\.$",
    ):
        replay(script, falls, float)


@pytest.mark.parametrize(
    ("gradient", "ends"),
    [(10**999, True), (-(10**999), True), (float("-inf"), True), (10**900, False)],
    ids=["large", "negative", "infinite", "less"],
)
def test_what_grows_beyond_writing_is_told(gradient, ends):
    script = Script.of({"w": 1}, gradients=[{"w": gradient}], lr=99)
    if ends:
        with pytest.raises(InputError, match=r"At step 1: w has grown beyond 10\^1000"):
            replay(script, "torch", mpmath.mpf)
    else:
        assert replay(script, "torch", mpmath.mpf).steps[0].w["w"] < 0
