"""Scripts and traces as JSON and back: nothing lost, nothing else let in."""

from __future__ import annotations

import json
import math

import pytest
import torch

from surefoot.errors import InputError
from surefoot.trace import Group, Move, Reload, Script, Set, Step, record, replay
from surefoot.trace.plain import script_from_plain, script_to_plain, trace_from_plain, trace_to_plain

SCRIPT = Script(
    {"a": [[2, 3]], "b": 0.1, "c": []},
    (
        Group(("a", "c"), {"lr": 0.25, "nesterov": True, "betas": (0.5, 0.75)}),
        Group(("b",), {"decay": "l2"}, 2),
    ),
    (
        Step({"a": [["1/3", 0]]}),
        Step({"b": 2}, (Set("lr", 0.5, 0), Set("decay", "no_lr"), Move("b", 1), Reload())),
    ),
    dtypes={"b": "float16"},
    reuse_gradients=True,
)


def through_json(plain):
    return json.loads(json.dumps(plain))


def test_a_script_survives():
    assert script_from_plain(through_json(script_to_plain(SCRIPT))) == SCRIPT


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_recorded_trace_survives(dtype):
    script = Script.of({"a": [[0.1], [2]]}, gradients=[{"a": [[1], [-3]]}, {}], lr=0.1, momentum=0.9)
    trace = record(script, torch.optim.SGD, dtype=dtype)
    assert trace_from_plain(through_json(trace_to_plain(trace)), script) == trace


def test_a_replayed_trace_survives():
    script = Script.of({"a": 1}, gradients=[{"a": "1/3"}] * 3, lr=0.1, momentum=0.9)
    trace = replay(script, "torch")
    assert trace_from_plain(through_json(trace_to_plain(trace)), script) == trace


def test_nan_survives():
    script = Script.of({"a": 1}, gradients=[{"a": math.nan}], lr=1)
    back = trace_from_plain(through_json(trace_to_plain(record(script, torch.optim.SGD))), script)
    assert math.isnan(back.steps[0].w["a"])


def test_a_function_is_no_plain_data():
    class Line:
        names = ("w",)

    with pytest.raises(InputError) as error:
        script_to_plain(Script.of({"w": 1}, function=Line(), lr=1))
    assert (
        str(error.value)
        == "A script with a function cannot be written as plain data; give it gradients instead."
    )


@pytest.mark.parametrize("change", [{"start": None}, {"steps": [3]}, {"groups": None}, {"start": {"a": "x"}}])
def test_what_is_no_script_is_refused(change):
    with pytest.raises(InputError):
        script_from_plain({**script_to_plain(SCRIPT), **change})


@pytest.mark.parametrize(
    "bad", [{}, {"steps": 1}, {"label": "x", "start": {"a": "import os"}, "steps": [], "dtypes": {}}]
)
def test_what_is_no_trace_is_refused(bad):
    with pytest.raises(InputError):
        trace_from_plain(bad, SCRIPT)
