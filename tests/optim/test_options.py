"""What is refused, and in which words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

import surefoot


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"lr": float("nan")}, "Invalid learning rate: nan"),
        ({"lr": float("inf")}, "Invalid learning rate: inf"),
        ({"lr": torch.tensor(float("inf"))}, "Invalid learning rate: inf"),
        ({"momentum": float("inf")}, "Invalid momentum value: inf"),
        ({"momentum": 0.5, "dampening": float("-inf")}, "Invalid dampening value: -inf"),
        ({"weight_decay": float("inf")}, "Invalid weight_decay value: inf"),
        ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
        ({"momentum": -0.5}, "Invalid momentum value: -0.5"),
        ({"momentum": 0.5, "dampening": float("nan")}, "Invalid dampening value: nan"),
        ({"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ({"weight_decay": torch.ones(2)}, "Tensor weight_decay must be 1-element"),
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires a momentum"),
        ({"convention": "tourch"}, "Invalid convention: 'tourch'; it is one of torch, keras, ema"),
        (
            {"momentum": 0.9, "dampening": 0.1, "convention": "keras"},
            "dampening=0.1 has no meaning under convention",
        ),
        ({"momentum": 0.9, "state_dtype": torch.int32}, "Invalid state_dtype: torch.int32"),
        (
            {"momentum": 0.9, "state_dtype": "float32"},
            "Invalid state_dtype: 'float32'; it is a floating-point",
        ),
        ({"dampening": 0.1}, "dampening does nothing without momentum"),
        ({"convention": "ema"}, "convention does nothing without momentum"),
        ({"decoupled_weight_decay": True}, "decoupled_weight_decay does nothing without weight_decay"),
        ({"state_dtype": torch.float64}, "state_dtype does nothing without momentum"),
        (
            {"momentum": 0.9, "state_dtype": torch.float32},
            "state_dtype does nothing: every parameter is torch.float32 already",
        ),
        ({"differentiable": True, "kahan": True}, "kahan cannot be combined with differentiable=True"),
        (
            {"differentiable": True, "capturable": True},
            "capturable cannot be combined with differentiable=True",
        ),
        ({"kahan": True, "fused": True}, "kahan=True has no fused kernel"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        surefoot.SGD([Parameter(torch.ones(2))], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": "0.1"}, "Invalid lr: '0.1'; it is a number or a one-element tensor"),
        ({"lr": 0.1, "momentum": None}, "Invalid momentum: None; it is a number"),
        (
            {"lr": 0.1, "weight_decay": [0.1]},
            "Invalid weight_decay: [0.1]; it is a number or a one-element tensor",
        ),
    ],
)
def test_what_is_no_number_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as error:
        surefoot.SGD([Parameter(torch.ones(2))], **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {"fused": True, "foreach": True},
        {"fused": True, "differentiable": True},
        {"foreach": True, "differentiable": True},
    ],
)
def test_kernels_that_exclude_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match=r"fused|foreach"):
        surefoot.SGD([Parameter(torch.ones(2))], **options)


@pytest.mark.parametrize("params", [[], torch.ones(2), [1.0], [{"params": {torch.ones(1)}}]])
def test_no_parameters(params: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        surefoot.SGD(params)


def test_an_option_that_works_in_one_group_is_no_mistake_in_another() -> None:
    a, b = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    groups = surefoot.SGD([{"params": a}, {"params": b, "momentum": 0.9}], dampening=0.5).param_groups
    assert [(group["momentum"], group["dampening"]) for group in groups] == [(0, 0.5), (0.9, 0.5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 0, "dampening": 0.5}, "dampening does nothing without momentum"),
        ({"momentum": 0, "convention": "ema"}, "convention does nothing without momentum"),
        ({"decoupled_weight_decay": True}, "decoupled_weight_decay does nothing without weight_decay"),
        ({"momentum": 0, "state_dtype": torch.float64}, "state_dtype does nothing without momentum"),
    ],
)
def test_an_option_given_to_a_group_does_something_there(options: dict[str, Any], message: str) -> None:
    w, v = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=message):
        surefoot.SGD([{"params": [w]}, {"params": [v], **options}], momentum=0.9)
    optimizer = surefoot.SGD([w], momentum=0.9)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [v], **options})
    assert len(optimizer.param_groups) == 1


def test_an_optimizer_made_of_anothers_groups() -> None:
    """As ZeroRedundancyOptimizer makes it: these hold every option."""
    w, v = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    groups = [{"params": [w]}, {"params": [v], "weight_decay": 0, "momentum": 0}]
    options: dict[str, Any] = {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum": 0.9}
    optimizer = surefoot.SGD(groups, **options, dampening=0.5)
    surefoot.SGD(optimizer.param_groups, **optimizer.defaults)
    copied = {**optimizer.param_groups[1], "params": [Parameter(torch.ones(2))]}
    optimizer.add_param_group(copied)
    assert len(optimizer.param_groups) == 3


def test_numbers_of_any_kind() -> None:
    w = Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = surefoot.SGD([w], Fraction(1, 2), Fraction(1, 4), weight_decay=Fraction(1, 8))
    for _ in range(3):
        w.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
    v = Parameter(torch.ones(2, dtype=torch.float64))
    twin = surefoot.SGD([v], 0.5, 0.25, weight_decay=0.125)
    for _ in range(3):
        v.grad = torch.ones(2, dtype=torch.float64)
        twin.step()
    assert torch.equal(w, v)


def test_a_refused_group_changes_nothing() -> None:
    optimizer = surefoot.SGD([Parameter(torch.ones(2))], lr=0.1)
    for wrong in ({"lr": -1.0}, {"momentum": -1.0}, {"nesterov": True}):
        with pytest.raises(ValueError, match=r"Invalid|Nesterov"):
            optimizer.add_param_group({"params": [Parameter(torch.ones(1))], **wrong})
    assert len(optimizer.param_groups) == 1


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="momentun"):
        surefoot.SGD([Parameter(torch.ones(2))], momentun=0.9)  # type: ignore[call-arg]


def test_positions_are_torchs() -> None:
    import inspect

    theirs = list(inspect.signature(torch.optim.SGD).parameters.values())
    ours = inspect.signature(surefoot.SGD).parameters
    assert [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert all(ours[p.name].default == p.default for p in theirs)


def test_dampening_set_later_is_refused_where_it_has_no_meaning() -> None:
    w = Parameter(torch.ones(2))
    optimizer = surefoot.SGD([w], lr=0.1, momentum=0.9, convention="keras")
    w.grad = torch.ones(2)
    optimizer.step()
    optimizer.param_groups[0]["dampening"] = 0.5
    with pytest.raises(
        ValueError, match=r"^dampening=0.5 has no meaning under convention='keras'; leave it 0$"
    ):
        optimizer.step()


@pytest.mark.parametrize("on", [1, np.True_, np.int64(1)])
def test_a_switch_may_be_any_truth(on: Any) -> None:
    ends = []
    for make, value in ((surefoot.SGD, on), (surefoot.SGD, True), (torch.optim.SGD, True)):
        p = torch.nn.Parameter(torch.ones(40))
        optimizer = make([p], lr=0.1, momentum=0.9, nesterov=value, maximize=value)
        for _ in range(3):
            p.grad = torch.ones(40)
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_a_convention_that_is_mistyped_later_is_told() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    optimizer = surefoot.SGD([p], lr=0.1, momentum=0.9)
    optimizer.step()
    optimizer.param_groups[0]["convention"] = "Keras"
    with pytest.raises(ValueError, match=r"^Invalid convention: 'Keras'; it is one of torch, keras, ema$"):
        optimizer.step()
