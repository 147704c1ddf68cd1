"""Lists are collected once; each thing that may change between two steps is noticed."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

import surefoot
from surefoot.optim import kernels
from surefoot.optim.options import Options
from surefoot.optim.plan import Plan

OPTIONS: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


class Model(torch.nn.Module):
    """Two parameters of one group, one of another, and one that has no gradient yet."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a, self.b, self.c, self.d = (Parameter(torch.randn(3, 3, generator=generator)) for _ in range(4))


def optimizer_for(make: Callable[..., Any], model: Model) -> Any:
    return make([{"params": [model.a, model.b, model.d]}, {"params": [model.c], "lr": 0.05}], **OPTIONS)


def step(model: Model, optimizer: Any, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for p in (model.a, model.b, model.c):
        p.grad = torch.randn(3, 3, generator=generator).to(p.dtype)
    optimizer.step()


def nothing(model: Model, optimizer: Any) -> None:
    pass


def late_gradient(model: Model, optimizer: Any) -> None:
    model.d.grad = torch.ones(3, 3)


def hyperparameters(model: Model, optimizer: Any) -> None:
    for group in optimizer.param_groups:
        group.update(lr=0.3, momentum=0.5, weight_decay=0.1, dampening=0.25)


def momentum_off(model: Model, optimizer: Any) -> None:
    optimizer.param_groups[0]["momentum"] = 0


def nesterov_on(model: Model, optimizer: Any) -> None:
    optimizer.param_groups[0]["nesterov"] = True


def loop_from_now_on(model: Model, optimizer: Any) -> None:
    optimizer.param_groups[0]["foreach"] = False


def add_group(model: Model, optimizer: Any) -> None:
    model.e = Parameter(torch.ones(2))
    model.e.grad = torch.ones(2)
    optimizer.add_param_group({"params": [model.e], "lr": 0.7})


def drop_parameter(model: Model, optimizer: Any) -> None:
    optimizer.param_groups[0]["params"].pop(0)


def swap_parameter(model: Model, optimizer: Any) -> None:
    old, new = model.a, Parameter(torch.full((3, 3), 5.0))
    optimizer.param_groups[0]["params"][0] = model.a = new
    optimizer.state[new] = optimizer.state.pop(old)


def swap_data(model: Model, optimizer: Any) -> None:
    model.a.data = torch.full((3, 3), 5.0)


def transpose_data(model: Model, optimizer: Any) -> None:
    model.a.data = model.a.data.t()


def to_float64(model: Model, optimizer: Any) -> None:
    model.double()
    optimizer.load_state_dict(optimizer.state_dict())


def write_buffer(model: Model, optimizer: Any) -> None:
    optimizer.state[model.a]["momentum_buffer"].zero_()


def transpose_buffer(model: Model, optimizer: Any) -> None:
    buffer = optimizer.state[model.a]["momentum_buffer"]
    buffer.data = buffer.data.t().contiguous().t()  # the same numbers, laid out otherwise


def widen_buffer(model: Model, optimizer: Any) -> None:
    buffer = optimizer.state[model.a]["momentum_buffer"]
    buffer.data = buffer.data.double()


def negate_buffer_lazily(model: Model, optimizer: Any) -> None:
    buffer = optimizer.state[model.a]["momentum_buffer"]
    buffer.data = torch._neg_view(-buffer.data)


def replace_buffer(model: Model, optimizer: Any) -> None:
    optimizer.state[model.a]["momentum_buffer"] = torch.ones(3, 3)


def replace_entry(model: Model, optimizer: Any) -> None:
    optimizer.state[model.a] = {"momentum_buffer": torch.ones(3, 3)}


def drop_entry(model: Model, optimizer: Any) -> None:
    del optimizer.state[model.a]


def drop_buffer(model: Model, optimizer: Any) -> None:
    del optimizer.state[model.a]["momentum_buffer"]


def entries_change_places(model: Model, optimizer: Any) -> None:
    mine, other = (optimizer.state.pop(p) for p in (model.a, model.b))
    optimizer.state.update({model.b: mine, model.a: other})


def move_to_the_next_group(model: Model, optimizer: Any) -> None:
    first, second = (group["params"] for group in optimizer.param_groups)
    second.insert(0, first.pop())


def clear_state(model: Model, optimizer: Any) -> None:
    optimizer.state.clear()


def new_state(model: Model, optimizer: Any) -> None:
    optimizer.state = defaultdict(dict)


def load(model: Model, optimizer: Any) -> None:
    saved = optimizer.state_dict()
    for entry in saved["state"].values():
        entry["momentum_buffer"] = entry["momentum_buffer"] * 2
    optimizer.load_state_dict(saved)


def freeze(model: Model, optimizer: Any) -> None:
    model.b.requires_grad_(False)


CHANGES = [
    nothing, late_gradient, hyperparameters, momentum_off, nesterov_on, loop_from_now_on, add_group,
    drop_parameter, swap_parameter, swap_data, transpose_data, to_float64, write_buffer, transpose_buffer,
    widen_buffer, negate_buffer_lazily, replace_buffer,
    replace_entry, drop_entry, drop_buffer, entries_change_places, move_to_the_next_group,
    clear_state, new_state, load, freeze,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_change_between_steps_is_noticed(change: Callable[[Model, Any], None]) -> None:
    """After each change the run goes on as torch's loop does, which looks everything up anew."""
    ours, theirs = Model(), Model()
    a = optimizer_for(surefoot.SGD, ours)
    b = optimizer_for(torch.optim.SGD, theirs)
    for model, optimizer in ((ours, a), (theirs, b)):
        for i in range(3):
            step(model, optimizer, i)
        change(model, optimizer)
        for i in range(3, 6):
            step(model, optimizer, i)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)
        mine, other = (o.state.get(x, {}).get("momentum_buffer") for o, x in ((a, p), (b, q)))
        assert (mine is None) == (other is None)
        if mine is not None:
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("flatten", [False, True])
def test_a_buffer_whose_memory_became_smaller_is_refused(flatten: bool) -> None:
    """The fused kernel would write past its end."""
    memory = torch.full((8,), 7.0)
    w, v = Parameter(torch.zeros(8)), Parameter(torch.zeros(8))
    optimizer = surefoot.SGD([w, v], lr=0.1, momentum=0.9, flatten=flatten)
    for _ in range(2):
        w.grad, v.grad = torch.ones(8), torch.ones(8)
        optimizer.step()
    optimizer.state[w]["momentum_buffer"].data = memory[:2]
    with pytest.raises(RuntimeError, match=r"buffer has shape \(2,\), but its parameter has shape \(8,\)"):
        optimizer.step()
    assert memory[2:].tolist() == [7.0] * 6


@pytest.mark.parametrize("numel", [2, 4096])
@pytest.mark.parametrize("kernel", [{}, {"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_parameter_of_another_size_than_its_buffer_is_refused(kernel: dict[str, Any], numel: int) -> None:
    """The fused kernel alone would read and write past the end."""
    w, v = Parameter(torch.ones(64)), Parameter(torch.ones(8))
    optimizer = surefoot.SGD([w, v], lr=0.5, momentum=0.5, **kernel)
    for size in (64, 64, numel):
        w.data, w.grad, v.grad = torch.ones(size), None, torch.ones(8)
        w.grad = torch.ones(size)
        if size != numel:
            optimizer.step()
    with pytest.raises(
        RuntimeError,
        match=rf"buffer has shape \(64,\), but its parameter has shape \({numel},\)",
    ):
        optimizer.step()
    optimizer.state[w]["momentum_buffer"] = torch.zeros(numel)
    optimizer.step()
    assert torch.equal(w, torch.full((numel,), 0.5))


def test_a_gradient_that_goes_missing_or_changes_its_kind() -> None:
    w, v = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    optimizer = surefoot.SGD([w, v], lr=0.5, momentum=0.5)
    for grad in (torch.ones(4), None, torch.ones(8)[::2], torch.ones(4).to_sparse(), torch.ones(4)):
        w.grad, v.grad = torch.ones(4), grad
        optimizer.step()
    # w: buffers 1, 1.5, 1.75, 1.875, 1.9375; v misses the second
    assert torch.equal(w, torch.full((4,), 1 - (1 + 1.5 + 1.75 + 1.875 + 1.9375) / 2))
    assert torch.equal(v, torch.full((4,), 1 - (1 + 1.5 + 1.75 + 1.875) / 2))


def test_a_plan_is_reused_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(Plan):
        def __init__(self, *args: Any, **named: Any) -> None:
            made.append(self)
            super().__init__(*args, **named)

    monkeypatch.setattr("surefoot.optim.plans.Plan", Counted)
    model = Model()
    optimizer = optimizer_for(surefoot.SGD, model)
    for i in range(10):
        optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        optimizer.zero_grad()
        step(model, optimizer, i)
    assert len(made) == 1


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_channels_last_stays_fused(memory_format: torch.memory_format) -> None:
    conv = torch.nn.Conv2d(8, 8, 3).to(memory_format=memory_format)
    optimizer = surefoot.SGD(conv.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        conv(torch.ones(1, 8, 5, 5).to(memory_format=memory_format)).sum().backward()
        plan = optimizer._plans.kept
        optimizer.step()
    assert optimizer._plans.kept is plan
    assert {run.kernel for run in plan.runs} == {kernels.fused}
    assert optimizer.state[conv.weight]["momentum_buffer"].is_contiguous(memory_format=memory_format)


def test_without_torchs_private_kernel_the_numbers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Model(), Model()
    a = optimizer_for(surefoot.SGD, ours)
    b = optimizer_for(torch.optim.SGD, theirs)
    monkeypatch.setattr(kernels, "FUSED", False)
    for i in range(5):
        step(ours, a, i)
        step(theirs, b, i)
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_small_tensors_leave_the_number_of_threads() -> None:
    params = [Parameter(torch.ones(64)) for _ in range(10)]
    for p in params:
        p.grad = torch.ones(64)
    optimizer = surefoot.SGD(params, lr=0.1, momentum=0.9)
    before = torch.get_num_threads()
    optimizer.step()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("flatten", [False, True])
def test_state_that_is_moved_elsewhere_is_let_go(flatten: bool) -> None:
    """As where the state waits on another device between two steps."""
    params = [Parameter(torch.ones(4)), Parameter(torch.ones(4))]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, flatten=flatten)
    for _ in range(3):
        for p in params:
            p.grad = torch.ones(4)
        optimizer.step()
    kept = [weakref.ref(optimizer.state[p]["momentum_buffer"].untyped_storage()) for p in params]
    kept += [weakref.ref(optimizer.state[p]["momentum_buffer"]) for p in params]
    for entry in optimizer.state.values():
        entry["momentum_buffer"] = entry["momentum_buffer"].clone()
    gc.collect()
    assert [held() for held in kept] == [None] * 4
    for p in params:
        p.grad = torch.ones(4)
    optimizer.step()
    assert torch.equal(params[0], torch.full((4,), 1 - (1 + 1.5 + 1.75 + 1.875) / 2))


def refused_sparse(a: Parameter, b: Parameter) -> Any:
    b.grad = torch.ones(4).to_sparse()
    optimizer = surefoot.SGD([{"params": [a]}, {"params": [b], "weight_decay": 0.25}], 0.5, 0.5, 0.5)
    with pytest.raises(RuntimeError, match="sparse gradients"):
        optimizer.step()
    return optimizer


def out_of_memory(a: Parameter, b: Parameter) -> Any:
    optimizer = surefoot.SGD([{"params": [b]}, {"params": [a]}], 0.5, 0.5, 0.5, foreach=False)
    b.grad = torch.ones(4)

    def full(*args: Any) -> None:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "loop", full)
        with pytest.raises(MemoryError):
            optimizer.step()
    return optimizer


@pytest.mark.parametrize("fails", [refused_sparse, out_of_memory])
def test_a_first_step_that_fails_stays_the_first(fails: Callable[[Parameter, Parameter], Any]) -> None:
    a, b = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    a.grad = torch.ones(4)
    optimizer = fails(a, b)
    assert torch.equal(a, torch.ones(4))
    assert not optimizer.state
    b.grad = None
    optimizer.step()
    assert torch.equal(a, torch.full((4,), 0.5))  # b = d, not (1 − τ) d


def test_what_was_stepped_before_the_failure_keeps_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = Parameter(torch.ones(4)), Parameter(torch.ones(8))
    optimizer = surefoot.SGD([a, b], lr=0.5, momentum=0.5, dampening=0.5, foreach=False)
    a.grad, b.grad = torch.ones(4), torch.ones(8)
    real = kernels.loop

    def full_at_the_second(params: Any, *args: Any) -> None:
        real(params[:1], *args)
        if len(params) > 1:
            raise MemoryError

    monkeypatch.setattr(kernels, "loop", full_at_the_second)
    with pytest.raises(MemoryError):
        optimizer.step()
    assert torch.equal(b, torch.ones(8))
    assert torch.equal(optimizer.state[a]["momentum_buffer"], torch.ones(4))
    b.grad = None
    optimizer.step()
    assert torch.equal(a, torch.zeros(4))  # 1 − 1/2 − (1/2 + 1/2)/2


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
def test_inference_tensors_are_refused_as_by_torch(kernel: dict[str, Any]) -> None:
    for make in (torch.optim.SGD, surefoot.SGD):
        with torch.inference_mode():
            p = Parameter(torch.ones(4))
        optimizer = make([p], lr=0.5, **kernel)
        with torch.inference_mode():
            p.grad = torch.ones(4)
        with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside"):
            optimizer.step()
    assert torch.equal(p, torch.ones(4))


@pytest.mark.parametrize("how", ["replaced", "appended"])
def test_groups_of_torchs_own(how: str) -> None:
    """They lack what only surefoot has."""
    w, v = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    groups = torch.optim.SGD([w], lr=0.5, momentum=0.5).param_groups
    optimizer = surefoot.SGD([v], lr=0.25)
    if how == "replaced":
        optimizer.param_groups = groups
    else:
        optimizer.param_groups.append(groups[0])
    for _ in range(2):
        w.grad = torch.ones(4)
        optimizer.step()
    assert torch.equal(w, torch.full((4,), 1 - (1 + 1.5) / 2))
    del groups[0]["lr"]
    with pytest.raises(KeyError, match="lr"):
        optimizer.step()


def test_a_flat_first_step_that_fails_stays_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Parameter(torch.ones(3))
    a, b = Parameter(torch.ones(3)), Parameter(torch.ones(3))
    groups = [{"params": [broken], "fused": False}, {"params": [a, b]}]
    optimizer = surefoot.SGD(groups, lr=0.1, momentum=0.5, dampening=0.5)
    broken.requires_grad_(False)
    optimizer.flatten()
    broken.requires_grad_(True)
    optimizer.zero_grad()
    (broken.sum() + a.sum() + b.sum()).backward()

    def full(*args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(kernels, "loop", full)
    with pytest.raises(MemoryError):
        optimizer.step()
    assert a not in optimizer.state
    broken.grad = None
    optimizer.step()
    torch.testing.assert_close(a.detach(), torch.full((3,), 0.9))


def test_a_buffer_that_was_only_multiplied_is_unwritten() -> None:
    a = Parameter(torch.ones(4))
    optimizer = surefoot.SGD([a], lr=0.5, momentum=0.5, dampening=0.5, foreach=False)
    a.grad = torch.ones(4)
    a.grad.data = torch.ones(3)
    with pytest.raises(RuntimeError, match="but its parameter has shape"):
        optimizer.step()
    a.grad = torch.ones(4)
    optimizer.step()
    assert torch.equal(a, torch.full((4,), 0.5))


def alike(change: Callable[[Any, Any], None], *, steps: int = 2, **options: Any) -> None:
    """A parameter of ones that is changed after two steps goes on as with torch's loop."""
    options = {"lr": 0.5, "momentum": 0.5} | options
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        p = Parameter(torch.ones(8, dtype=options.get("dtype", torch.float32)))
        given = {k: v for k, v in options.items() if k != "dtype"}
        optimizer: Any = make([p], **given | ({"foreach": False} if make is torch.optim.SGD else {}))
        p.grad = torch.ones_like(p)
        for _ in range(2):
            optimizer.step()
        change(p, optimizer)
        for _ in range(steps):
            optimizer.step()
        state = optimizer.state.get(p, {})
        ends.append((p.detach(), state.get("momentum_buffer")))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-7, atol=1e-7)


def buffer_is_the_gradient(p: Any, optimizer: Any) -> None:
    optimizer.state[p]["momentum_buffer"] = p.grad


def buffer_is_the_parameter(p: Any, optimizer: Any) -> None:
    optimizer.state[p]["momentum_buffer"] = p.detach()


def narrow_gradient(p: Any, optimizer: Any) -> None:
    p.grad.data = torch.full((8,), 1 / 3, dtype=torch.bfloat16)


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize(
    ("change", "options"),
    [
        (buffer_is_the_gradient, {}),
        (buffer_is_the_parameter, {}),
        (narrow_gradient, {"nesterov": True}),
        (narrow_gradient, {"weight_decay": 0.1}),
    ],
)
def test_tensors_that_overlap_or_are_narrow(change: Any, options: dict[str, Any], kernel: Any) -> None:
    if kernel.get("foreach") and change is not narrow_gradient:
        pytest.skip("lists of tensors that overlap mean something else to torch, too")
    alike(change, **options, **kernel)


def test_a_first_narrow_gradient_with_decay() -> None:
    """The first buffer is g + λθ, in the wider dtype."""
    for options in ({}, {"foreach": False}, {"foreach": True}):
        p = Parameter(torch.full((4,), 1 / 3))
        optimizer = surefoot.SGD([p], lr=0.1, momentum=0.5, weight_decay=0.1, **options)
        p.grad = torch.ones(4)
        p.grad.data = torch.full((4,), 1 / 3, dtype=torch.bfloat16)
        optimizer.step()
        assert optimizer.state[p]["momentum_buffer"].dtype == torch.float32


def conjugated_buffer(p: Any, optimizer: Any) -> None:
    optimizer.state[p]["momentum_buffer"].data = torch.full((8,), 1 + 2j).conj()


def real_gradient(p: Any, optimizer: Any) -> None:
    p.grad.data = torch.arange(8.0)


def real_buffer(p: Any, optimizer: Any) -> None:
    optimizer.state[p]["momentum_buffer"].data = torch.arange(8.0)


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("change", [conjugated_buffer, real_gradient])
def test_complex_tensors_that_become_others(change: Any, kernel: Any) -> None:
    alike(change, dtype=torch.complex64, **kernel)


def test_a_complex_gradient_of_a_real_buffer_is_refused() -> None:
    with pytest.raises(RuntimeError, match="result type ComplexFloat can't be cast"):
        alike(real_buffer, dtype=torch.complex64)
    p = Parameter(torch.ones(4, dtype=torch.complex64))
    optimizer = surefoot.SGD([p], lr=0.5)
    p.grad = torch.ones_like(p)
    optimizer.step()
    p.grad.data = torch.ones(4, 2)
    with pytest.raises(RuntimeError, match=r"gradient has shape \(4, 2\), but its parameter has shape"):
        optimizer.step()


@pytest.mark.parametrize("other", [torch.float64, torch.bfloat16, torch.complex64])
def test_a_parameter_without_elements_decides_nothing(other: torch.dtype) -> None:
    empty, p = Parameter(torch.zeros(0, dtype=other)), Parameter(torch.full((3,), 1 / 3))
    optimizer = surefoot.SGD([empty, p], lr=0.1, momentum=0.9)
    empty.grad, p.grad = torch.zeros_like(empty), torch.ones_like(p)
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].dtype == torch.float32
    assert optimizer.state[empty]["momentum_buffer"].dtype == other


def test_momentum_as_a_tensor_that_changes() -> None:
    p = Parameter(torch.ones(4))
    momentum = torch.tensor(0.5)
    optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5)
    optimizer.param_groups[0]["momentum"] = momentum
    p.grad = torch.ones(4)
    for _ in range(2):
        optimizer.step()
    momentum.zero_()
    optimizer.step()
    assert p.tolist() == [1 - 0.5 * (1 + 1.5 + 1)] * 4
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.5] * 4


def test_the_first_buffer_is_the_gradient_to_the_bit() -> None:
    for options in ({}, {"foreach": False}, {"foreach": True}):
        p = Parameter(torch.tensor([-0.0, 1.0]))
        p.grad = torch.tensor([-0.0, 1.0])
        optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, **options)
        optimizer.step()
        assert optimizer.state[p]["momentum_buffer"].signbit().tolist() == [True, False]
        assert p.signbit().tolist() == [False, False]


def test_a_gradient_that_does_not_fit_changes_nothing() -> None:
    p = Parameter(torch.ones(4))
    optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, weight_decay=0.5, decoupled_weight_decay=True)
    p.grad = torch.ones(4)
    optimizer.step()
    before = p.tolist(), optimizer.state[p]["momentum_buffer"].tolist()
    p.grad.data = torch.ones(3)
    for _ in range(2):
        with pytest.raises(
            RuntimeError, match=r"gradient has shape \(3,\), but its parameter has shape \(4,\)"
        ):
            optimizer.step()
    assert (p.tolist(), optimizer.state[p]["momentum_buffer"].tolist()) == before


@pytest.mark.parametrize(
    "options",
    [
        {"lr": np.float32(0.5)},
        {"momentum": np.float32(0.5)},
        {"weight_decay": np.float32(0.5)},
        {"maximize": np.True_},
        {"nesterov": None},
    ],
    ids=str,
)
def test_options_of_another_type_are_read_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    p = Parameter(torch.ones(4))
    optimizer = surefoot.SGD([p], **{"lr": 0.25, "momentum": 0.5, **options})
    p.grad = torch.ones(4)
    optimizer.step()

    def again(*args: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(Options, "of", again)
    optimizer.step()
    if "lr" not in options:
        optimizer.param_groups[0]["lr"] = 0.125  # the rest stays read
        optimizer.step()


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        *itertools.product(("lr", "momentum", "dampening", "weight_decay"), (False, True)),
        ("maximize", False),
    ],
)
def test_what_changes_in_place_is_read_at_each_step(name: str, tensor: bool) -> None:
    values = (True, False, True) if name == "maximize" else (0.5, 0.25, 0.125)
    value: Any = torch.tensor(values[0]) if tensor else np.array(values[0])
    p, q = Parameter(torch.ones(4)), Parameter(torch.ones(4))
    usual = {"lr": 0.5, "momentum": 0.5, "dampening": 0.5, "weight_decay": 0.5}
    one = surefoot.SGD([p], **{**usual, name: value})
    other = surefoot.SGD([q], **{**usual, name: values[0]})
    for now in values:
        value[...] = now
        other.param_groups[0][name] = now
        for x, optimizer in ((p, one), (q, other)):
            x.grad = torch.ones(4)
            for _ in range(2):
                optimizer.step()
        assert torch.equal(p, q)


def test_an_lr_that_was_a_number_before_it_was_a_tensor_is_taken_again() -> None:
    p = Parameter(torch.zeros(2))
    p.grad = torch.ones(2)
    number, moved = 0.5, 0.0
    optimizer = surefoot.SGD([p], lr=number)
    for lr in (number, torch.tensor(0.25), number, np.float32(0.125), torch.tensor(0.25), number):
        optimizer.param_groups[0]["lr"] = lr
        for _ in range(2):
            optimizer.step()
            moved += float(lr)
            assert p.tolist() == [-moved, -moved]
