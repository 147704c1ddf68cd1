"""Scripts: how they are made, printed and made smaller, and what does not fit together."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from surefoot.errors import InputError
from surefoot.trace import Group, Move, Reload, Script, Set, Step

START = {"a": [2, 3], "b": 6}
EVENTFUL = Script(
    START,
    (Group(("a",), {"lr": 0.25, "nesterov": True}), Group(("b",), {"lr": 0.125}, joins=2)),
    (
        Step({"a": [1, 0]}),
        Step({"a": [0, -1], "b": 2}, (Set("lr", "1/8", 0), Move("a", [5, 5]), Reload())),
        Step({"a": None, "b": 1}, (Set("momentum", 0.5),)),
    ),
    dtypes={"b": "bfloat16"},
    reuse_gradients=True,
)


def test_it_prints_as_what_happens():
    assert str(EVENTFUL) == (
        "start  a = (2, 3), b = 6\n"
        "group  a: lr = 0.25, nesterov = True\n"
        "group  b (from step 2): lr = 0.125\n"
        "dtypes b bfloat16\n"
        "each grad tensor is reused, and overwritten after each step\n"
        "step 1: a.grad = (1, 0), b.grad = None\n"
        "step 2: lr of group 0 := 0.125, a moved to (5, 5), saved and loaded, a.grad = (0, -1), b.grad = 2\n"
        "step 3: momentum := 0.5, b.grad = 1, a.grad = None"
    )


def test_decimals_are_meant_as_written():
    script = Script.of({"w": 0.1}, gradients=[{"w": 0.2}], lr=1e-3)
    assert script.start["w"] == Fraction(1, 10)
    assert script.steps[0].gradients == {"w": Fraction(1, 5)}
    assert script.groups[0].options["lr"] == Fraction(1, 1000)


def test_options_that_are_no_numbers_stay():
    options = (
        Script.of({"w": 1}, gradients=[], decay="decoupled", nesterov=True, lr_max=None).groups[0].options
    )
    assert options == {"decay": "decoupled", "nesterov": True, "lr_max": None}


def test_a_schedule_sets_only_what_changes_and_its_last_value_stays():
    script = Script.of({"w": 1}, gradients=[{"w": 1}] * 4, lr=[0.1, 0.1, 0.01])
    assert [s.events for s in script.steps] == [(), (), (Set("lr", 0.01),), ()]


def test_map_changes_start_gradients_and_moves():
    smaller = EVENTFUL.map(lambda name, value: value[:1] if name == "a" else value)
    assert smaller.start == {"a": (2,), "b": 6}
    assert [s.gradients for s in smaller.steps] == [{"a": (1,)}, {"a": (0,), "b": 2}, {"b": 1}]
    assert smaller.steps[1].events[1] == Move("a", [5])


def test_select_keeps_what_happens_to_the_names():
    only = EVENTFUL.select(["b"])
    assert only.names == ("b",)
    assert only.groups[0].names == ()
    assert only.steps[1] == Step({"b": 2}, (Set("lr", "1/8", 0), Reload()))


def test_without_its_changes_an_option_stays_as_it_is_at_the_start():
    steady = EVENTFUL.without_changes({"lr"})
    assert steady.groups == EVENTFUL.groups
    assert [s.events for s in steady.steps] == [(), (Move("a", [5, 5]), Reload()), (Set("momentum", 0.5),)]
    assert [s.gradients for s in steady.steps] == [s.gradients for s in EVENTFUL.steps]


def test_options_are_changed_in_every_group_and_nothing_else_is():
    halved = EVENTFUL.with_options(lambda options: {**options, "lr": options["lr"] / 2})
    assert [g.options for g in halved.groups] == [
        {"lr": Fraction(1, 8), "nesterov": True},
        {"lr": Fraction(1, 16)},
    ]
    assert [(g.names, g.joins) for g in halved.groups] == [(("a",), 1), (("b",), 2)]
    assert halved.with_options(lambda options: {**options, "lr": 2 * options["lr"]}) == EVENTFUL


def test_every_step_is_changed_in_order_and_nothing_else_is():
    seen = []
    bare = EVENTFUL.with_steps(lambda step: seen.append(step) or Step(step.gradients))
    assert tuple(seen) == EVENTFUL.steps
    assert [s.events for s in bare.steps] == [(), (), ()]
    assert dataclasses.replace(bare, steps=EVENTFUL.steps) == EVENTFUL


def test_a_changed_step_must_fit_too():
    with pytest.raises(InputError, match="no start value of that name"):
        EVENTFUL.with_steps(lambda step: Step({"c": 1}))


def test_a_change_is_meant_for_one_group_or_for_all():
    assert [*Set("lr", 1, 1).meant(3)] == [1]
    assert [*Set("lr", 1).meant(3)] == [0, 1, 2]


def test_a_step_without_gradients_of_its_own_gives_none():
    assert Step({"a": [1, 0], "b": None}).given == {"a": (1, 0)}
    assert Step().given == {}


def test_equal_scripts_are_equal():
    assert EVENTFUL.map(lambda name, value: value) == EVENTFUL
    assert EVENTFUL.select(["b"]) != EVENTFUL


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Script.of({"a": [2, 3]}, gradients=[{"a": [1, 2, 3]}]),
            "The gradient of 'a' at step 1 has shape (3,), but 'a' has shape (2,).",
        ),
        (
            lambda: Script.of({"a": [2, 3]}, gradients=[{"b": 1}]),
            "There is the gradient of 'b' at step 1, but no start value of that name; there are: a.",
        ),
        (
            lambda: Script(START, (Group(("a", "b")),), (Step({}, (Move("a", 1),)),)),
            "The new value of 'a' at step 1 has shape (), but 'a' has shape (2,).",
        ),
        (lambda: Script(START, (Group(("a",)),), ()), "'b' is in 0 groups, but must be in exactly one."),
        (
            lambda: Script(START, (Group(("a", "b", "c")),), ()),
            "'c' has no start value; there are: a, b.",
        ),
        (
            lambda: Script(START, (Group(("a", "b")),), (Step({}, (Set("lr", 1, 1),)),)),
            "Step 1 sets lr of group 1, but the groups are 0 to 0.",
        ),
        (
            lambda: Script(START, (Group(("a", "b")),), (Step(),)),
            "Step 1 has no gradients, and the script no function to differentiate.",
        ),
        (
            lambda: Script.of(START),
            "A script requires either gradients or a function to differentiate, not both.",
        ),
        (
            lambda: Script.of(START, gradients=[{}], steps=2),
            "There are gradients for 1 steps, but steps is 2.",
        ),
        (lambda: Script.of(START, gradients=[], steps=-1), "steps is -1; it must be 0 or more."),
        (lambda: Script.of(START, gradients=[], steps="1"), "steps is '1'; it must be a whole number."),
        (
            lambda: Script.of(START, gradients=[], lr=[]),
            "The schedule of lr is empty; give at least one value.",
        ),
        (
            lambda: Script.of({"a": [[1], 2]}, gradients=[]),
            "a is not rectangular: its parts have shapes () and (1,).",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == sentence


def test_groups_join_before_their_step_and_empty_ones_never() -> None:
    groups = (Group(("a",)), Group(()), Group(("b",), joins=2), Group(("c",), joins=0))
    script = Script({"a": 1, "b": 1, "c": 1}, groups, (Step({"a": 1}),))
    assert [script.joining(t) for t in (1, 2, 3)] == [[0, 3], [2], []]
