"""Shrinking keeps a script failing, makes it no larger, and ends with what matters alone."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.check.arithmetic.shrink import shrink, size
from surefoot.trace import Group, Move, Script, Set, Step, replay

OFF = {"momentum": Fraction(0), "weight_decay": Fraction(0), "dampening": Fraction(0), "nesterov": False}


def big(steps: int = 5, **options) -> Script:
    """Three tensors in two groups, with a schedule, a moved parameter and a missing gradient."""
    start = {"a": [1, 2, 3], "b": [[1, 2], [3, 4]], "c": 5}
    made = []
    for t in range(1, steps + 1):
        events = {2: (Set("lr", "1/8"),), 3: (Move("a", [0, 0, 1]),)}.get(t, ())
        gradients = {"a": [t, -t, 0], "b": [[t, 1], [0, 2]]} | ({"c": 1} if t != 2 else {})
        made.append(Step(gradients, events))
    options = {"lr": "1/4", "momentum": "3/4", "weight_decay": "1/8", **options}
    return Script(start, (Group(("a", "b"), options), Group(("c",), {**options, "lr": "1/2"})), tuple(made))


def differ(one: str, other: str):
    """Whether two rules part on a script: what a check of one against the other would find."""

    def fails(script: Script) -> bool:
        return replay(script, one).steps[-1].w != replay(script, other).steps[-1].w

    return fails


def test_what_needs_two_steps_and_a_schedule_keeps_just_that():
    smallest = shrink(big(weight_decay=0), differ("torch", "keras"), off=OFF, seconds=20)
    assert len(smallest.steps) == 2
    assert len(smallest.start) == 1
    assert [type(e) for s in smallest.steps for e in s.events] == [Set]
    (group,) = smallest.groups
    assert group.options["momentum"] == Fraction(3, 4)
    assert group.options["weight_decay"] == 0
    first, second = (s.gradients for s in smallest.steps)
    assert list(first.values()) != [0]  # without it there would be nothing in the buffer
    assert list(second.values()) == [0]


def test_one_step_is_enough_where_the_first_step_differs():
    smallest = shrink(big(), differ("torch", "ema"), off=OFF, seconds=20)
    assert len(smallest.steps) == 1
    assert size(smallest, OFF)[:3] == (1, 2, 1)


def test_a_moved_parameter_is_kept_where_it_matters():
    smallest = shrink(big(weight_decay=0), differ("heavy_ball", "keras"), off=OFF, seconds=20)
    assert [type(e) for s in smallest.steps for e in s.events] in ([Move], [Set])


@given(
    needs=st.sets(st.sampled_from(["a", "b", "c"]), min_size=1),
    steps=st.integers(1, 4),
    momentum=st.booleans(),
)
@settings(max_examples=15)
def test_it_still_fails_and_is_never_larger(needs, steps, momentum):
    def fails(script: Script) -> bool:
        on = any(g.options["momentum"] for g in script.groups if g.names)
        return needs <= set(script.start) and len(script.steps) >= steps and on >= momentum

    script = big()
    smallest = shrink(script, fails, off=OFF, seconds=20)
    assert fails(smallest)
    assert size(smallest, OFF) <= size(script, OFF)
    assert set(smallest.start) == needs
    assert len(smallest.steps) == steps
    assert not any(s.events for s in smallest.steps)
    assert all(g.options["weight_decay"] == 0 for g in smallest.groups)


def test_what_must_stay_large_becomes_one_number_and_is_cut_by_halves():
    values = [Fraction(k % 5 - 2) for k in range(1031)]
    script = Script.of({"w": values}, gradients=[{"w": values}], lr="1/4")

    def fails(other: Script) -> bool:
        return sum(x * x for x in other.steps[0].gradients["w"]) > 100

    smallest = shrink(script, fails, off=OFF, seconds=20)
    assert str(smallest).splitlines()[::2] == ["start  w = full(101, 0)", "step 1: w.grad = full(101, 1)"]


def test_time_is_bounded():
    assert shrink(big(), lambda s: True, off=OFF, seconds=0.0) == big()


def test_the_order_of_size_is_the_written_one():
    few_steps = big(steps=1)
    few_tensors = big(steps=2).select(["c"])
    assert size(few_steps, OFF) < size(few_tensors, OFF)
    assert size(big(weight_decay=0), OFF) < size(big(), OFF)


def test_a_long_run_is_told_with_one_gradient():
    gradients = [{"w": Fraction(t, 7)} for t in range(1, 61)]
    script = Script.of({"w": 1}, gradients=gradients, lr=1, momentum="1/2")
    smallest = shrink(script, lambda s: len(s.steps) >= 40, off=OFF, seconds=20)
    assert len({str(step) for step in smallest.steps}) == 1
    assert len(smallest.steps) == 40
