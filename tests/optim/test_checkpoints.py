"""Checkpoints: to and from torch.optim.SGD, through files, across dtypes, without shared memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

import surefoot

OPTIONS: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "dampening": 0.2}


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def params_for(dtype: torch.dtype = torch.float32) -> list[Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(n, generator=generator).to(dtype)) for n in (3, 17, 40)]


def step(params: list[Parameter], optimizer: Any, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for i, p in enumerate(params):
        g = torch.randn(p.shape, generator=generator).to(p.dtype)
        p.grad = None if i == 1 and number < 2 else g  # the second's first gradient comes late
    optimizer.step()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kernel", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize("direction", ["to torch", "from torch"])
def test_swapped_mid_run_bit_for_bit(direction: str, kernel: dict[str, Any], late: bool) -> None:
    """Half a run by one, half by the other, equals the whole run by torch, on each kernel."""
    if late and "fused" in kernel:
        pytest.skip("torch's fused path cannot take a late first gradient")
    makes = [surefoot.SGD, torch.optim.SGD]
    if direction == "from torch":
        makes.reverse()
    start = 0 if late else 2
    params, whole = params_for(), params_for()
    optimizer, reference = makes[0](params, **OPTIONS, **kernel), torch.optim.SGD(whole, **OPTIONS, **kernel)
    for i in range(start, 6):
        if i in (3, 5):
            saved = through_a_file(optimizer.state_dict())
            optimizer = makes[i == 3](params, lr=7.0)
            optimizer.load_state_dict(saved)
        step(params, optimizer, i)
        step(whole, reference, i)
    assert all(map(torch.equal, params, whole))
    assert all(
        torch.equal(optimizer.state[p]["momentum_buffer"], reference.state[q]["momentum_buffer"])
        for p, q in zip(params, whole, strict=True)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"convention": "keras", "dampening": 0, "nesterov": True},
        {"convention": "ema", "dampening": 0},
        {"state_dtype": torch.float64, "decoupled_weight_decay": True},
        {"kahan": True, "maximize": True},
        {"capturable": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_equals_an_uninterrupted_one(options: dict[str, Any], dtype: torch.dtype) -> None:
    options = OPTIONS | options
    params, whole = params_for(dtype), params_for(dtype)
    optimizer, reference = surefoot.SGD(params, **options), surefoot.SGD(whole, **options)
    for i in range(6):
        if i in (1, 4):
            saved = through_a_file(optimizer.state_dict())
            params = [Parameter(p.detach().clone()) for p in params]
            optimizer = surefoot.SGD(params, **options)
            optimizer.load_state_dict(saved)
        step(params, optimizer, i)
        step(whole, reference, i)
    assert all(map(torch.equal, params, whole))
    for p, q in zip(params, whole, strict=True):
        for key, value in reference.state[q].items():
            assert optimizer.state[p][key].dtype == value.dtype
            assert torch.equal(optimizer.state[p][key], value)


def test_loading_keeps_the_states_dtype_and_shares_nothing() -> None:
    params, others = params_for(torch.bfloat16), params_for(torch.bfloat16)
    a = surefoot.SGD(params, state_dtype=torch.float32, kahan=True, **OPTIONS)
    b = surefoot.SGD(others, state_dtype=torch.float32, kahan=True, **OPTIONS)
    step(params, a, 3)
    b.load_state_dict(a.state_dict())
    for p, q in zip(params, others, strict=True):
        for key in ("momentum_buffer", "compensation"):
            assert b.state[q][key].dtype == torch.float32
            assert torch.equal(b.state[q][key], a.state[p][key])
            assert b.state[q][key].data_ptr() != a.state[p][key].data_ptr()


def test_a_wider_buffer_stays_as_it_was_saved() -> None:
    """A first buffer that was a float32 gradient's, and one from before state_dtype was changed."""
    (w,) = params = [Parameter(torch.ones(3, dtype=torch.bfloat16))]
    saved = surefoot.SGD(params, **OPTIONS).state_dict()
    saved["state"] = {0: {"momentum_buffer": torch.full((3,), 1.001)}}
    for changed in (None, torch.bfloat16):
        saved["param_groups"][0]["state_dtype"] = changed
        optimizer = surefoot.SGD(params, **OPTIONS)
        optimizer.load_state_dict(saved)
        assert torch.equal(optimizer.state[w]["momentum_buffer"], torch.full((3,), 1.001))


@pytest.mark.parametrize(("saved", "own"), [(torch.float64, torch.float32), (torch.bfloat16, torch.float32)])
def test_a_buffer_of_a_run_in_another_precision_follows_the_parameters(
    saved: torch.dtype, own: torch.dtype
) -> None:
    params, others = params_for(saved), params_for(own)
    a, b = surefoot.SGD(params, **OPTIONS), surefoot.SGD(others, **OPTIONS)
    step(params, a, 3)
    b.load_state_dict(a.state_dict())
    assert {b.state[q]["momentum_buffer"].dtype for q in others} == {own}


def test_a_checkpoint_of_torchs_gets_the_dtype_that_is_asked_for() -> None:
    params, others = params_for(torch.bfloat16), params_for(torch.bfloat16)
    a = torch.optim.SGD(params, **OPTIONS)
    b = surefoot.SGD(others, state_dtype=torch.float32, **OPTIONS)
    step(params, a, 3)
    b.load_state_dict(a.state_dict())
    assert {b.state[q]["momentum_buffer"].dtype for q in others} == {torch.float32}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
@pytest.mark.parametrize(
    "how", [{"full_state_dict": True, "cpu_offload": True}, {"flatten_optimizer_state_dict": True}], ids=str
)
def test_goes_through_torchs_distributed_checkpoints(how: dict[str, bool]) -> None:
    """What FSDP's users save with; it refuses a torch.dtype among the options."""
    from torch.distributed.checkpoint import state_dict as distributed

    options = distributed.StateDictOptions(**how)
    models = [torch.nn.Linear(3, 2) for _ in range(2)]
    params, others = (list(model.parameters()) for model in models)
    a, b = (surefoot.SGD(ps, state_dtype=torch.float64, **OPTIONS) for ps in (params, others))
    step(params, a, 3)
    saved = distributed.get_optimizer_state_dict(models[0], a, options=options)
    distributed.set_optimizer_state_dict(models[1], b, through_a_file(saved), options=options)
    for p, q in zip(params, others, strict=True):
        assert b.state[q]["momentum_buffer"].dtype == torch.float64
        assert torch.equal(b.state[q]["momentum_buffer"], a.state[p]["momentum_buffer"])
    assert b.param_groups[0]["state_dtype"] == torch.float64


def test_a_checkpoint_that_holds_the_dtype_itself_is_taken_and_no_other_word() -> None:
    optimizer = surefoot.SGD(params_for(torch.bfloat16), state_dtype=torch.float32, **OPTIONS)
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["state_dtype"] == "float32"
    saved["param_groups"][0]["state_dtype"] = torch.float64  # as it was written before
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["state_dtype"] == torch.float64
    for word in ("nn", "float33", 32):
        saved["param_groups"][0]["state_dtype"] = word
        with pytest.raises(
            ValueError, match=f"this checkpoint's state_dtype is {word!r}; it must be a dtype's name"
        ):
            optimizer.load_state_dict(saved)


def test_state_of_others_keeps_its_dtype() -> None:
    """A step counter, as other optimizers have one, is not cast to the parameter's dtype."""
    (w,) = params = [Parameter(torch.ones(3, dtype=torch.bfloat16))]
    optimizer = surefoot.SGD(params, lr=0.1)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"step": torch.tensor(1001.0), "note": "kept"}}
    optimizer.load_state_dict(saved)
    assert optimizer.state[w]["step"] == 1001
    assert optimizer.state[w]["note"] == "kept"


@pytest.mark.parametrize("kept", [(), ("nesterov",), ("nesterov", "maximize", "foreach")], ids=str)
def test_checkpoints_of_older_torch(kept: tuple[str, ...]) -> None:
    """Newer keys are missing, and without momentum the buffer is None."""
    params = params_for()
    theirs = torch.optim.SGD(params, lr=0.3, momentum=0.5)
    step(params, theirs, 3)
    saved = theirs.state_dict()
    basic = {"params", "lr", "momentum", "dampening", "weight_decay"}
    saved["param_groups"] = [
        {k: v for k, v in g.items() if k in basic.union(kept)} for g in saved["param_groups"]
    ]
    saved["state"][0]["momentum_buffer"] = None
    ours = surefoot.SGD(params, lr=0.1, momentum=0.9, nesterov=True, kahan=True)
    ours.load_state_dict(saved)
    group = ours.param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.3, 0.5, False)
    assert group["kahan"]  # torch knows nothing of it, so it stays as it was asked for here
    step(params, ours, 4)
    assert torch.equal(ours.state[params[0]]["momentum_buffer"], params[0].grad)


def test_a_checkpoint_of_another_convention_is_refused() -> None:
    params = params_for()
    keras = surefoot.SGD(params, lr=0.1, momentum=0.9, convention="keras")
    for other in (surefoot.SGD(params, lr=0.1, momentum=0.9), torch.optim.SGD(params, lr=0.1, momentum=0.9)):
        step(params, other, 3)
        with pytest.raises(ValueError, match="uses convention='torch', this optimizer 'keras'"):
            keras.load_state_dict(other.state_dict())
        assert keras.param_groups[0]["convention"] == "keras"
        assert not keras.state


def test_a_checkpoint_of_another_convention_that_holds_no_buffer_is_taken() -> None:
    """As an old torch writes it where there was no momentum."""
    params = params_for()
    saved = torch.optim.SGD(params, lr=0.1).state_dict()
    saved["state"] = {0: {"momentum_buffer": None}}
    keras = surefoot.SGD(params, lr=0.1, momentum=0.9, convention="keras")
    keras.load_state_dict(saved)
    assert keras.param_groups[0]["convention"] == "keras"


def test_with_kahan_a_buffer_of_torchs_goes_on_in_float32() -> None:
    params = [Parameter(torch.ones(3, dtype=torch.bfloat16))]
    theirs = torch.optim.SGD(params, lr=0.1, momentum=0.9)
    params[0].grad = torch.ones_like(params[0])
    theirs.step()
    ours = surefoot.SGD(params, lr=0.1, momentum=0.9, kahan=True)
    ours.load_state_dict(theirs.state_dict())
    ours.step()
    assert {t.dtype for t in ours.state[params[0]].values()} == {torch.float32}
    saved = ours.state_dict()  # as surefoot wrote it before it kept this buffer wide
    saved["state"][0]["momentum_buffer"] = saved["state"][0]["momentum_buffer"].bfloat16()
    ours.load_state_dict(saved)
    assert ours.state[params[0]]["momentum_buffer"].dtype == torch.float32


def test_a_checkpoint_of_another_shape_is_refused() -> None:
    optimizer = surefoot.SGD(params_for(), lr=0.1)
    with pytest.raises(ValueError, match="parameter group"):
        optimizer.load_state_dict(surefoot.SGD(params_for()[:2], lr=0.1).state_dict())


@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_numpy_s_numbers_are_saved_as_python_s(number: Any) -> None:
    """As a sweep over np.logspace or a schedule gives them; torch's own checkpoint is refused then."""
    params = params_for()
    optimizer = surefoot.SGD(params, lr=number(0.5), momentum=number(0.75))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: np.exp2(-epoch))
    step(params, optimizer, 1)
    schedule.step()
    saved = through_a_file(optimizer.state_dict())
    group = saved["param_groups"][0]
    assert {name: type(group[name]) for name in ("lr", "initial_lr", "momentum")} == dict.fromkeys(
        ("lr", "initial_lr", "momentum"), float
    )
    assert (group["lr"], group["momentum"]) == (0.25, 0.75)
    other = surefoot.SGD(params_for(), lr=1, momentum=0.5)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == 0.25


def test_state_that_is_no_parameters_is_kept() -> None:
    ours, theirs = ([Parameter(torch.ones(2))] for _ in range(2))
    a, b = surefoot.SGD(ours, lr=0.1, momentum=0.9), torch.optim.SGD(theirs, lr=0.1, momentum=0.9)
    for optimizer in (a, b):
        saved = optimizer.state_dict()
        saved["state"] = {"note": {"epoch": 3, "mean": torch.ones(1)}, "flag": True}
        optimizer.load_state_dict(saved)
    assert a.state["note"] == b.state["note"] == {"epoch": 3, "mean": torch.ones(1)}
    assert a.state["flag"] is b.state["flag"] is True


def test_a_checkpoint_of_another_optimizer_is_refused() -> None:
    theirs, ours = [Parameter(torch.ones(2))], [Parameter(torch.ones(2))]
    optimizer = surefoot.SGD(ours, lr=0.1, momentum=0.9)
    with pytest.raises(
        ValueError, match=r"^this checkpoint is from another optimizer: one of its groups has"
    ):
        optimizer.load_state_dict(torch.optim.AdamW(theirs).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert "betas" not in optimizer.param_groups[0]


def test_arrays_in_a_group_are_kept() -> None:
    p = Parameter(torch.ones(2))
    optimizer = surefoot.SGD([{"params": [p], "layers": np.array([1, 2]), "depth": np.int64(3)}], lr=0.1)
    (group,) = optimizer.state_dict()["param_groups"]
    assert group["layers"].tolist() == [1, 2]
    assert type(group["depth"]) is int


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "it has no param_groups and no state; its keys are none"),
        ({"model": {}, "state": {}}, "it has no param_groups; its keys are 'model', 'state'"),
    ],
)
def test_what_is_no_state_dict_is_told(given: dict[str, Any], message: str) -> None:
    optimizer = surefoot.SGD([Parameter(torch.ones(2))], lr=0.1)
    with pytest.raises(ValueError, match="^this is not an optimizer's state dict: " + message + "$"):
        optimizer.load_state_dict(given)


def test_tensors_within_lists_are_brought_to_the_parameter() -> None:
    """As a subclass may keep a history."""
    p = Parameter(torch.ones(3, device="meta"))
    optimizer = surefoot.SGD([p], lr=0.1)
    saved = {"history": [torch.ones(3), (torch.ones(2), {"a": torch.ones(1)}), "x"]}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": {0: saved}})
    first, (second, rest), text = optimizer.state[p]["history"]
    assert [t.device.type for t in (first, second, rest["a"])] == ["meta"] * 3
    assert text == "x"


def test_a_refused_checkpoint_leaves_nothing_behind() -> None:
    p = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([p], lr=0.1, momentum=0.5, state_dtype=torch.float64)
    before = set(vars(optimizer))
    with pytest.raises(ValueError, match="from another optimizer"):
        optimizer.load_state_dict(torch.optim.Adam([p]).state_dict())
    assert set(vars(optimizer)) == before
