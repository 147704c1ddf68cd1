"""What is refused, and in which words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

import surefoot
from surefoot.optim.options import Options, with_lr


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
        ({"convention": "tourch"}, "Invalid convention: 'tourch'; it must be one of torch, keras, ema"),
        (
            {"momentum": 0.9, "dampening": 0.1, "convention": "keras"},
            "dampening=0.1 has no meaning with convention",
        ),
        ({"momentum": 0.9, "state_dtype": torch.int32}, "Invalid state_dtype: torch.int32"),
        (
            {"momentum": 0.9, "state_dtype": "float32"},
            "Invalid state_dtype: 'float32'; it must be a floating-point",
        ),
        ({"dampening": 0.1}, "dampening has no effect without momentum"),
        ({"convention": "ema"}, "convention has no effect without momentum"),
        ({"decoupled_weight_decay": True}, "decoupled_weight_decay has no effect without weight_decay"),
        ({"state_dtype": torch.float64}, "state_dtype has no effect without momentum"),
        (
            {"momentum": 0.9, "state_dtype": torch.float32},
            "state_dtype has no effect: every parameter is torch.float32 already",
        ),
        (
            {"momentum": 0.9, "state_dtype": torch.float8_e4m3fn},
            "Invalid state_dtype: torch.float8_e4m3fn; it must be",
        ),
        (
            {"momentum": 0.9, "state_dtype": torch.complex64},
            "Invalid state_dtype: torch.complex64; it must be",
        ),
        ({"lr": 10**400}, "Invalid lr: a number that is too large for a float; it must be a number"),
        ({"lr": torch.tensor(1j)}, "Invalid lr: a tensor of torch.complex64 on cpu; it must be a number"),
        (
            {"weight_decay": torch.tensor(1j)},
            "Invalid weight_decay: a tensor of torch.complex64 on cpu; it must be",
        ),
        (
            {"lr": torch.tensor(0.1, device="meta")},
            "Invalid lr: a tensor of torch.float32 on meta; it must be",
        ),
        ({"momentum": torch.ones(2)}, "Tensor momentum must be 1-element, not of shape"),
        ({"momentum": 0.5, "dampening": torch.ones(2)}, "Tensor dampening must be 1-element, not of shape"),
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
        ({"lr": "0.1"}, "Invalid lr: '0.1'; it must be a number or a one-element tensor"),
        ({"lr": 0.1, "momentum": None}, "Invalid momentum: None; it must be a number"),
        (
            {"lr": 0.1, "weight_decay": [0.1]},
            "Invalid weight_decay: [0.1]; it must be a number or a one-element tensor",
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
        ({"momentum": 0, "dampening": 0.5}, "dampening has no effect without momentum"),
        ({"momentum": 0, "convention": "ema"}, "convention has no effect without momentum"),
        ({"decoupled_weight_decay": True}, "decoupled_weight_decay has no effect without weight_decay"),
        ({"momentum": 0, "state_dtype": torch.float64}, "state_dtype has no effect without momentum"),
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


@pytest.mark.parametrize("idle", [{"nesterov": True}, {"dampening": 0.5}, {"convention": "ema"}], ids=str)
def test_anothers_groups_are_taken_without_its_defaults(idle: dict[str, Any]) -> None:
    """Its second group has inherited what does nothing there."""
    w, v, u = (Parameter(torch.ones(2)) for _ in range(3))
    optimizer = surefoot.SGD([{"params": [w]}, {"params": [v], "momentum": 0}], lr=0.5, momentum=0.5, **idle)
    twin = surefoot.SGD(optimizer.param_groups)
    twin.add_param_group({**optimizer.param_groups[1], "params": [u]})
    name, value = next(iter(idle.items()))
    assert [group[name] for group in twin.param_groups] == [value] * 3
    for p in (w, v, u):
        p.grad = torch.ones(2)
    twin.step()
    assert v.tolist() == u.tolist() == [0.5, 0.5]


def test_torchs_groups_are_taken_without_its_defaults() -> None:
    w, v = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    groups: list[dict[str, Any]] = [{"params": [w]}, {"params": [v], "momentum": 0}]
    theirs = torch.optim.SGD(groups, lr=0.5, momentum=0.5, nesterov=True)
    assert [group["nesterov"] for group in surefoot.SGD(theirs.param_groups).param_groups] == [True, True]


def test_nesterov_and_maximize_may_be_none_as_in_torch() -> None:
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        p = Parameter(torch.ones(4))
        optimizer = make([p], lr=0.5, momentum=0.5, nesterov=None, maximize=None)
        for _ in range(3):
            p.grad = torch.ones(4)
            optimizer.step()
            optimizer.param_groups[0].update(nesterov=None, maximize=None)
        ends.append(p.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize("value", [np.array(0.5), np.array(0.5, np.float32), np.float16(0.5)], ids=repr)
def test_numbers_of_numpys(value: Any) -> None:
    p, q = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    one = surefoot.SGD([p], lr=value, momentum=value, dampening=value, weight_decay=value)
    other = surefoot.SGD([q], lr=0.5, momentum=0.5, dampening=0.5, weight_decay=0.5)
    for _ in range(3):
        for x, optimizer in ((p, one), (q, other)):
            x.grad = torch.ones(4)
            optimizer.step()
    assert torch.equal(p, q)
    saved = one.state_dict()["param_groups"][0]
    assert (type(saved["lr"]), saved["lr"]) == (float, 0.5)


def test_numpys_true_is_a_number_as_pythons() -> None:
    p = Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    surefoot.SGD([p], lr=np.True_).step()  # type: ignore[arg-type]
    assert p.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("wrong", [np.array([0.5]), np.array("a"), np.array(1j)], ids=repr)
def test_an_array_that_is_no_number_is_told(wrong: Any) -> None:
    with pytest.raises(TypeError) as error:
        surefoot.SGD([Parameter(torch.ones(2))], lr=wrong)
    assert str(error.value) == f"Invalid lr: {wrong!r}; it must be a number or a one-element tensor"


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0; it must be a finite number ≥ 0"),
        ({"momentum": -0.5}, "Invalid momentum value: -0.5; it must be a finite number ≥ 0"),
        ({"weight_decay": -1}, "Invalid weight_decay value: -1; it must be a finite number ≥ 0"),
        (
            {"momentum": 0.5, "dampening": float("inf")},
            "Invalid dampening value: inf; it must be a finite number",
        ),
        (
            {"nesterov": True},
            "Nesterov momentum requires a momentum and zero dampening; give momentum > 0 or leave nesterov"
            " out",
        ),
        (
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "Nesterov momentum requires a momentum and zero dampening; leave dampening 0",
        ),
    ],
)
def test_what_would_be_right_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|Nesterov") as error:
        surefoot.SGD([Parameter(torch.ones(2))], **options)
    assert str(error.value) == message


def test_a_default_is_looked_at_though_every_group_has_its_own() -> None:
    group = {"params": [Parameter(torch.ones(2))], "lr": 0.1, "momentum": 0.9}
    with pytest.raises(TypeError, match=r"^Invalid lr: 'x'; it must be a number or a one-element tensor$"):
        surefoot.SGD([group], lr="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Invalid momentum value: nan; it must be a finite number ≥ 0$"):
        surefoot.SGD([group], momentum=float("nan"))


def test_a_group_with_a_number_no_float_holds_changes_nothing() -> None:
    optimizer = surefoot.SGD([Parameter(torch.ones(2))], lr=0.1, capturable=True)
    with pytest.raises(ValueError, match=r"^Invalid lr: a number that is too large for a float"):
        optimizer.add_param_group({"params": [Parameter(torch.ones(3))], "lr": 10**400})
    assert len(optimizer.param_groups) == 1


def test_flatten_in_a_group_is_refused() -> None:
    w, v = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    message = "^flatten has no effect in a group; give it to the optimizer, for all groups$"
    with pytest.raises(ValueError, match=message):
        surefoot.SGD([{"params": [w, v], "flatten": True}], lr=0.1)
    optimizer = surefoot.SGD([w], lr=0.1)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [v], "flatten": True})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}, {"fused": True}], ids=str)
@pytest.mark.parametrize("later", [False, True])
def test_nesterov_of_all_is_idle_in_a_group_without_momentum(kernel: dict[str, Any], later: bool) -> None:
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        w, v = Parameter(torch.ones(40)), Parameter(torch.ones(40))
        groups: list[dict[str, Any]] = [{"params": [w]}, {"params": [v], "momentum": 0}]
        optimizer = make(groups[: 2 - later], lr=0.5, momentum=0.5, nesterov=True, **kernel)
        if later:
            optimizer.add_param_group(groups[1])
        for _ in range(3):
            w.grad, v.grad = torch.ones(40), torch.full((40,), 2.0)
            optimizer.step()
        ends.append(torch.cat([w.detach(), v.detach()]))
    assert torch.equal(*ends)


def test_nesterov_of_a_group_without_momentum_is_refused() -> None:
    w, v = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    groups: list[dict[str, Any]] = [{"params": [w], "momentum": 0.9}, {"params": [v], "nesterov": True}]
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum"):
        surefoot.SGD(groups)


SWITCHES = {
    "nesterov": "True or False",
    "maximize": "True or False",
    "decoupled_weight_decay": "True or False",
    "foreach": "True, False or None",
    "fused": "True, False or None",
    "capturable": "True or False",
    "differentiable": "True or False",
    "kahan": "True or False",
    "flatten": "True or False",
}


@pytest.mark.parametrize("value", ["False", 2, 0.0, [True], np.array([True]), None], ids=repr)
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_true_or_false(name: str, value: Any) -> None:
    message = f"Invalid {name}: {value!r}; it must be {SWITCHES[name]}"
    p = Parameter(torch.ones(2))
    options: dict[str, Any] = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.5}
    if value is None and ("None" in SWITCHES[name] or name in ("nesterov", "maximize")):
        surefoot.SGD([p], **options, **{name: value})
        return
    with pytest.raises(TypeError) as error:
        surefoot.SGD([p], **options, **{name: value})
    assert str(error.value) == message
    if name == "flatten":
        return
    optimizer = surefoot.SGD([p], **options)
    p.grad = torch.ones(2)
    optimizer.step()
    before = p.tolist(), optimizer.state[p]["momentum_buffer"].tolist()
    optimizer.param_groups[0][name] = value
    for _ in range(2):
        with pytest.raises(TypeError) as error:
            optimizer.step()
        assert str(error.value) == message
    assert (p.tolist(), optimizer.state[p]["momentum_buffer"].tolist()) == before


ALONE = {"differentiable": True, "foreach": None}
WRONG_LATER: list[tuple[dict[str, Any], str]] = [
    ({"momentum": None}, "Invalid momentum: None; it must be a number"),
    ({"momentum": "a"}, "Invalid momentum: 'a'; it must be a number"),
    ({"momentum": 1j}, "Invalid momentum: 1j; it must be a number"),
    ({"momentum": 10**400}, "Invalid momentum: a number that is too large for a float; it must be a number"),
    ({"momentum": torch.ones(2)}, "Tensor momentum must be 1-element, not of shape (2,)"),
    ({"dampening": "a"}, "Invalid dampening: 'a'; it must be a number"),
    ({"weight_decay": "a"}, "Invalid weight_decay: 'a'; it must be a number or a one-element tensor"),
    (
        {"lr": torch.tensor(1j)},
        "Invalid lr: a tensor of torch.complex64 on cpu; it must be a number or a one-element",
    ),
    ({"state_dtype": "float32"}, "Invalid state_dtype: 'float32'; it must be a floating-point dtype"),
    (
        {"state_dtype": torch.float8_e4m3fn},
        "Invalid state_dtype: torch.float8_e4m3fn; it must be a floating-point",
    ),
    ({"foreach": True, "fused": True}, "`fused` and `foreach` cannot be `True` together."),
    ({"kahan": True, "fused": True, "foreach": None}, "kahan=True has no fused kernel; leave fused out"),
    ({**ALONE, "kahan": True}, "kahan cannot be combined with differentiable=True; leave one"),
    ({**ALONE, "capturable": True}, "capturable cannot be combined with differentiable=True"),
]


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize(("options", "message"), WRONG_LATER, ids=lambda x: str(x)[:40])
def test_what_is_set_later_and_cannot_be_changes_nothing(
    options: dict[str, Any], message: str, foreach: bool | None
) -> None:
    p, q = Parameter(torch.ones(2)), Parameter(torch.ones(2))
    groups = [{"params": [q]}, {"params": [p]}]
    optimizer = surefoot.SGD(
        groups, lr=0.25, momentum=0.5, weight_decay=1.0, decoupled_weight_decay=True, foreach=foreach
    )
    p.grad, q.grad = torch.ones(2), torch.ones(2)
    optimizer.step()
    buffers = [optimizer.state[x]["momentum_buffer"] for x in (p, q)]
    before = [x.tolist() for x in (p, q, *buffers)]
    old = dict(optimizer.param_groups[1])
    optimizer.param_groups[1].update(options)
    for _ in range(2):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as error:
            optimizer.step()
        assert str(error.value).startswith(message)
        assert [x.tolist() for x in (p, q, *buffers)] == before
    optimizer.param_groups[1].update(old)
    optimizer.step()
    assert p.tolist() == q.tolist() != before[0]


def test_options_of_a_checkpoint_that_exclude_this_optimizers() -> None:
    w = torch.ones(3)
    theirs = torch.optim.SGD([w], lr=0.1, differentiable=True)
    optimizer = surefoot.SGD([w], lr=0.1, kahan=True)
    optimizer.load_state_dict(theirs.state_dict())
    w.grad = torch.ones(3)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^kahan cannot be combined with differentiable=True"):
            optimizer.step()
    assert w.tolist() == [1.0] * 3


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"lr": float("nan")}, {"momentum": -0.5}], ids=str)
def test_values_outside_the_domain_that_are_set_later_are_stepped_as_by_torch(
    options: dict[str, Any],
) -> None:
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        p = Parameter(torch.ones(3))
        optimizer = make([p], lr=0.5, momentum=0.5, foreach=False)
        p.grad = torch.ones(3)
        optimizer.step()
        optimizer.param_groups[0].update(options)
        optimizer.step()
        ends.append(p.detach())
    assert torch.equal(ends[0].nan_to_num(7), ends[1].nan_to_num(7))


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
        ValueError, match=r"^dampening=0.5 has no meaning with convention='keras'; leave it 0$"
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
    with pytest.raises(
        ValueError, match=r"^Invalid convention: 'Keras'; it must be one of torch, keras, ema$"
    ):
        optimizer.step()


def test_an_lr_that_becomes_a_tensor_later_is_differentiated_by() -> None:
    w = Parameter(torch.tensor([2.0, 3.0]))
    q = w.clone()
    q.grad = torch.ones(2)
    optimizer = surefoot.SGD([q], lr=0.1, differentiable=True)
    optimizer.step()
    lr = torch.tensor(0.1, requires_grad=True)
    optimizer.param_groups[0]["lr"] = lr
    for steps in (1, 2):
        optimizer.step()
        (slope,) = torch.autograd.grad(q.sum(), lr, retain_graph=True)
        assert slope.item() == -2.0 * steps


@pytest.mark.parametrize("options", [{"capturable": True}, {"differentiable": True}], ids=str)
def test_an_lr_that_becomes_a_tensor_is_not_read_where_it_must_stay_one(options: dict[str, bool]) -> None:
    last, lr = Options(lr=0.1, **options), torch.tensor(0.2)
    assert with_lr(last, last, (lr, *last[1:]), {}) is None
    plain = Options(lr=0.1)
    assert with_lr(plain, plain, (lr, *plain[1:]), {}) == Options(lr=lr.item())
