"""Scripts as plain torch code: the code, run, does what the script says."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from surefoot.errors import InputError
from surefoot.explain.problem.parse import parse
from surefoot.trace import (
    Group,
    Mismatch,
    Move,
    Reload,
    Script,
    Set,
    Step,
    compare,
    record,
    replay,
    to_torch_code,
)
from surefoot.trace.values import exact_binary

SCRIPTS = {
    "one group": Script.of(
        {"w": [0.5, 1]}, gradients=[{"w": [1, 2]}, {}, {"w": [0, -1]}], lr=[0.5, 0.25], momentum=0.5
    ),
    "events": Script(
        {"v": [1, 2], "w": [[3.0]]},
        (
            Group(("v",), {"lr": 0.25, "momentum": 0.5}),
            Group(("w",), {"lr": 0.5, "nesterov": True, "momentum": 0.25}),
        ),
        (
            Step({"v": [1, 0], "w": [[1]]}),
            Step({"w": [[2]]}, (Move("v", [5, 5]), Set("lr", 0.125, 1))),
            Step({"v": [1, 1], "w": [[1]]}, (Set("weight_decay", 0.125), Reload())),
        ),
        dtypes={"w": "float32"},
        reuse_gradients=True,
    ),
    "a late group": Script(
        {"v": 1, "w": 2},
        (Group(("v",), {"lr": 0.25}), Group(("w",), {"lr": 0.5}, joins=2)),
        (Step({"v": 1}), Step({"v": 1, "w": 1}), Step({"v": 1, "w": 1}, (Set("lr", 1, 1),))),
    ),
    "a late group whose lr was set before": Script(
        {"v": 1, "w": 2},
        (Group(("v",), {"lr": 0.5, "momentum": 0.5}), Group(("w",), {"lr": 0.5, "momentum": 0.5}, joins=3)),
        (
            Step({"v": 1}),
            Step({"v": 1}, (Set("lr", 0.25), Set("momentum", 0.25, 1))),
            Step({"v": 1, "w": 1}, (Reload(),)),
            Step({"v": 1, "w": 1}),
        ),
    ),
    "the second group first": Script(
        {"v": 1, "w": 2},
        (Group(("v",), {"lr": 0.25, "momentum": 0.5}, joins=2), Group(("w",), {"lr": 0.5, "momentum": 0.5})),
        (
            Step({"w": 1}),
            Step({"v": 1, "w": 1}),
            Step({"v": 1, "w": 1}, (Set("lr", 1, 0),)),
            Step({"v": 1, "w": 3}, (Reload(), Set("lr", 2, 1))),
        ),
    ),
    "many equal numbers": Script.of({"w": [[0.5] * 20] * 2}, gradients=[{"w": [[2] * 20] * 2}], lr=0.5),
    "an empty tensor and nan": Script.of({"v": [], "w": [1]}, gradients=[{"v": [], "w": ["nan"]}], lr=1),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_code_does_what_the_script_says(name):
    script = SCRIPTS[name]
    scope = {}
    exec(to_torch_code(script), scope)
    expected = record(script, torch.optim.SGD).steps[-1].w
    got = {n: exact_binary(scope[n].detach()) for n in script.names}
    assert str(got) == str(expected)  # nan is not equal to itself
    if name != "an empty tensor and nan":  # no Fraction is nan
        assert got == replay(script, "torch").steps[-1].w


def test_it_can_name_any_optimizer_and_end_with_the_finding():
    script = SCRIPTS["one group"]
    got = record(script, lambda p, **o: torch.optim.SGD(p, **{**o, "dampening": 0.5}))
    code = to_torch_code(
        script, "SGD", imports=["from torch.optim import SGD"], extra={"dampening": 0.5},
        mismatch=compare(replay(script, "torch"), got),
    )  # fmt: skip
    assert code == (
        "import torch\n"
        "from torch.optim import SGD\n"
        "\n"
        "w = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)\n"
        "optimizer = SGD([w], lr=0.5, momentum=0.5, dampening=0.5)\n"
        "\n"
        "# step 1\n"
        "w.grad = torch.tensor([1.0, 2.0], dtype=torch.float64)\n"
        "optimizer.step()\n"
        "\n"
        "# step 2\n"
        'optimizer.param_groups[0]["lr"] = 0.25\n'
        "w.grad = None\n"
        "optimizer.step()\n"
        "\n"
        "# step 3\n"
        "w.grad = torch.tensor([0.0, -1.0], dtype=torch.float64)\n"
        "optimizer.step()\n"
        "\n"
        'got = optimizer.state[w]["momentum_buffer"][1].item()\n'
        'assert got == 0.0, f"should be 0.0, but is {got}"'
    )
    with pytest.raises(AssertionError, match=r"^should be 0\.0, but is 0\.5$"):
        exec(code, {})


def test_a_new_optimizer_is_made_with_the_options_of_then():
    script = Script(
        {"w": 1}, (Group(("w",), {"lr": 0.5}),), (Step({"w": 1}), Step({"w": 1}, (Set("lr", 0.25), Reload())))
    )
    assert "optimizer = torch.optim.SGD([w], lr=0.25)\noptimizer.load" in to_torch_code(script)


def test_a_script_with_a_function_is_refused():
    script = Script.of({"w": 3}, function=parse("w**2", {"w": 3}), steps=2, lr=0.1)
    with pytest.raises(InputError, match="differentiates a function cannot be written as code"):
        to_torch_code(script)


def test_a_finding_in_a_state_that_is_no_tensor_can_be_run():
    class Plain(torch.optim.SGD):
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["momentum_buffer"] = 0.25 * state.get("momentum_buffer", 0.0) + float(p.grad)
                    with torch.no_grad():
                        p.sub_(group["lr"] * state["momentum_buffer"])

    script = Script.of({"w": 1}, gradients=[{"w": 1}] * 3, lr=0.5, momentum=0.5)
    found = compare(replay(script, "torch"), record(script, Plain))
    with pytest.raises(AssertionError, match=r"^should be 1\.5, but is 1\.25$"):
        exec(to_torch_code(script, "Plain", mismatch=found), {"Plain": Plain})


def test_a_finding_within_bounds_is_asserted_with_its_tolerance():
    code = to_torch_code(SCRIPTS["a late group"], mismatch=Mismatch(1, "v", (), "w", 0.7, 0.75, 1e-15))
    assert code.endswith('got = v.item()\nassert abs(got - 0.7) <= 1.0e-15, f"should be 0.7, but is {got}"')


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("allowed", [0.0, 1e-15, math.inf])
def test_a_finding_of_no_number_is_python_that_holds_where_it_is_mended(value, allowed):
    found = Mismatch(1, "v", (), "w", value, 0.75, allowed)
    code = to_torch_code(SCRIPTS["a late group"], mismatch=found)
    with pytest.raises(AssertionError, match=f"^should be float\\('{value}'\\), but is "):
        exec(code, {})
    exec(code.replace("got = v.item()", f"got = float('{value}')"), {})


def test_names_that_python_lacks_or_the_code_needs_are_others():
    names = ["my w", "lambda", "layer.weight", "torch", "optimizer", "1a", "layer_weight", "SGD", "θ"]
    script = Script(
        dict.fromkeys(names, 1),
        (Group(tuple(names[:4]), {"lr": 0.5}), Group(tuple(names[4:]), {"lr": 0.25})),
        (Step(dict.fromkeys(names, 1)), Step({"lambda": 2}, (Move("1a", 5), Reload()))),
        dtypes={"layer.weight": "float32"},
    )
    got = record(script, torch.optim.SGD)
    found = Mismatch(2, "lambda", (), "w", Fraction(-0.5), Fraction(0), 0.0)
    code = to_torch_code(script, "SGD", imports=["from torch.optim import SGD"], mismatch=found)
    ran = {}
    exec(code, ran)  # its assert holds
    called = ["my_w", "lambda_", "layer_weight", "torch_", "optimizer_", "_1a", "layer_weight_", "SGD_", "θ"]
    for name, mine in zip(names, called, strict=True):
        assert ran[mine].item() == got.steps[-1].w[name]
    assert ran["layer_weight"].dtype is torch.float32
