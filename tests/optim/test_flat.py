"""flatten: one kernel call for all, and everything else as it was."""

from __future__ import annotations

import copy
import gc
import io
import re
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import surefoot

OPTIONS: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def model() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Linear(5, 1))
    net[2].bias.requires_grad_(False)
    return net


def backward(net: nn.Module, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(8, 4, generator=generator).to(next(net.parameters()).dtype)
    net(x).pow(2).mean().backward()


def nothing(net: nn.Module, optimizer: Any) -> None:
    pass


def drop_gradients(net: nn.Module, optimizer: Any) -> None:
    net.zero_grad()


def keep_the_old_gradients(net: nn.Module, optimizer: Any) -> None:
    net.kept = [p.grad for p in net.parameters()]
    net.zero_grad()


def replace_a_gradient(net: Any, optimizer: Any) -> None:
    net[0].weight.grad = torch.ones_like(net[0].weight)


def swap_the_data_of_a_gradient(net: Any, optimizer: Any) -> None:
    net[0].weight.grad.data = torch.ones_like(net[0].weight)


def swap_the_data_of_a_parameter(net: Any, optimizer: Any) -> None:
    net.kept = net[0].weight.data
    net[0].weight.data = torch.ones_like(net[0].weight)


def to_float64(net: nn.Module, optimizer: Any) -> None:
    net.double()
    optimizer.load_state_dict(optimizer.state_dict())


def load(net: nn.Module, optimizer: Any) -> None:
    net.load_state_dict({k: v * 2 for k, v in net.state_dict().items()})
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def replace_a_buffer(net: Any, optimizer: Any) -> None:
    optimizer.state[net[0].weight]["momentum_buffer"] = torch.ones_like(net[0].weight)


def swap_the_data_of_a_buffer(net: Any, optimizer: Any) -> None:
    optimizer.state[net[0].weight]["momentum_buffer"].data = torch.ones_like(net[0].weight)


def thaw(net: Any, optimizer: Any) -> None:
    net[2].bias.requires_grad_(True)


def add_group(net: Any, optimizer: Any) -> None:
    net.scale = nn.Parameter(torch.ones(2))
    optimizer.add_param_group({"params": [net.scale], "lr": 0.5})
    net.scale.grad = torch.ones(2)


def undo(net: nn.Module, optimizer: Any) -> None:
    if isinstance(optimizer, surefoot.SGD):
        optimizer.unflatten()


CHANGES = [
    nothing, drop_gradients, keep_the_old_gradients, replace_a_gradient, swap_the_data_of_a_gradient,
    swap_the_data_of_a_parameter, to_float64, load, replace_a_buffer, swap_the_data_of_a_buffer, thaw,
    add_group, undo,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_flat_run_equals_torchs(change: Callable[[nn.Module, Any], None]) -> None:
    """Also when something moves between a backward pass and its step."""
    ours, theirs = model(), model()
    a = surefoot.SGD(ours.parameters(), flatten=True, **OPTIONS)
    b = torch.optim.SGD(theirs.parameters(), **OPTIONS)
    for net, optimizer in ((ours, a), (theirs, b)):
        for i in range(8):
            optimizer.zero_grad()
            backward(net, i)
            if i == 4:
                change(net, optimizer)
                backward(net, i)
            optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_one_kernel_call_for_all() -> None:
    net = model()
    before = list(net.parameters())
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    for i in range(3):
        optimizer.zero_grad()
        backward(net, i)
        optimizer.step()
    assert all(p is q for p, q in zip(net.parameters(), before, strict=True))
    assert optimizer._plans.kept is not None
    (run,) = optimizer._plans.kept.runs
    assert run._whole is not None
    assert [len(tensors) for tensors in run._whole] == [1, 1, 1]
    assert run._whole[0][0].numel() == sum(p.numel() for p in before if p.requires_grad)
    buffers = [optimizer.state[p]["momentum_buffer"] for p in before if p.requires_grad]
    assert len({b.untyped_storage().data_ptr() for b in buffers}) == 1


@pytest.mark.parametrize("how", ["replaced", "in place"])
def test_a_gradient_transposed_in_its_own_memory(how: str) -> None:
    w, v = nn.Parameter(torch.zeros(3, 3)), nn.Parameter(torch.zeros(3))
    optimizer = surefoot.SGD([w, v], lr=1.0, flatten=True)
    g = torch.arange(9.0).view(3, 3)
    for _ in range(2):
        optimizer.zero_grad()
        ((w * g).sum() + v.sum()).backward()
        optimizer.step()
    assert w.grad is not None
    if how == "replaced":
        w.grad = w.grad.t()
    else:
        w.grad.t_()
    optimizer.step()
    assert torch.equal(w.detach(), -2 * g - g.t())


def test_a_parameter_that_never_has_a_gradient_rests() -> None:
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = surefoot.SGD([used, idle], lr=0.1, momentum=0.9, weight_decay=0.1, flatten=True)
    for _ in range(3):
        optimizer.zero_grad()
        used.sum().backward()
        optimizer.step()
    assert torch.equal(idle, torch.ones(3))
    assert idle not in optimizer.state


def test_parameters_are_seen_to_change() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    backward(net, 0)
    versions = [p._version for p in net.parameters() if p.requires_grad]
    gradients = [(p.grad.clone(), p.grad._version) for p in net.parameters() if p.grad is not None]
    optimizer.step()
    assert all(
        p._version > v
        for p, v in zip([p for p in net.parameters() if p.requires_grad], versions, strict=True)
    )
    for p, (g, version) in zip([p for p in net.parameters() if p.grad is not None], gradients, strict=True):
        assert torch.equal(p.grad, g)
        assert p.grad._version == version


def test_undone_cleanly() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), **OPTIONS)
    backward(net, 0)
    optimizer.step()
    before = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
    optimizer.flatten()
    optimizer.flatten()  # a second time is the same as once
    optimizer.step()
    optimizer.unflatten()
    for p in net.parameters():
        for t in (p, p.grad, *optimizer.state.get(p, {}).values()):
            assert t is None or t.untyped_storage().nbytes() == t.nbytes
    net.load_state_dict(before[0])
    optimizer.load_state_dict(before[1])
    backward(net, 1)
    optimizer.step()


def test_files_and_copies(tmp_path: Path) -> None:
    """Checkpoints of a flat model load elsewhere; a deep copy is independent."""
    from safetensors.torch import load_file, save_file

    net = model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    backward(net, 0)
    optimizer.step()
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    twin = model()
    twin.load_state_dict(load_file(tmp_path / "model.safetensors"))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = torch.optim.SGD(twin.parameters(), **OPTIONS)
    other.load_state_dict(torch.load(file, weights_only=True))
    third, optimizer3 = copy.deepcopy((net, optimizer))
    for n, o in ((net, optimizer), (twin, other), (third, optimizer3)):
        o.zero_grad()
        backward(n, 1)
        o.step()
    for p, q, r in zip(net.parameters(), twin.parameters(), third.parameters(), strict=True):
        torch.testing.assert_close(p, q)
        torch.testing.assert_close(p, r)


def test_a_shared_module_stays_shared() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    optimizer = surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert net[1].weight is net[0].weight


def tied() -> list[nn.Parameter]:
    w = nn.Parameter(torch.ones(4))
    v = nn.Parameter(torch.ones(4))
    v.data = w.data
    return [w, v]


def with_sparse_gradient() -> list[nn.Parameter]:
    w = nn.Parameter(torch.ones(4))
    w.grad = torch.ones(4).to_sparse()
    return [w]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (tied, r"the parameter of shape \(4,\): it shares memory with others, .*"),
        (
            lambda: [nn.Parameter(torch.ones(8)[2:])],
            r"the parameter of shape \(6,\): it shares memory with others, .*",
        ),
        (
            lambda: [nn.Parameter(torch.ones(4, 2).t())],
            r"the parameter of shape \(2, 4\): it is not contiguous",
        ),
        (with_sparse_gradient, r"the gradient of shape \(4,\): it is sparse"),
        (
            lambda: [nn.Parameter(torch.ones(4).share_memory_())],
            r"the parameter of shape \(4,\): it is in shared memory",
        ),
    ],
)
def test_refused(params: Callable[[], list[nn.Parameter]], message: str) -> None:
    given = params()
    addresses = [p.data_ptr() for p in given]
    optimizer = surefoot.SGD(given, lr=0.1)
    with pytest.raises(ValueError, match=f"^flatten cannot move {message}$"):
        optimizer.flatten()
    assert [p.data_ptr() for p in given] == addresses


def test_grad_scaler_with_flat_parameters() -> None:
    net, plain = model(), model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, fused=True, **OPTIONS)
    reference = surefoot.SGD(plain.parameters(), **OPTIONS)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    x = torch.ones(2, 4)
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(net(x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        reference.zero_grad()
        plain(x).sum().backward()
        reference.step()
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_a_group_added_later_is_zeroed_as_it_is_asked_for() -> None:
    first, later = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = surefoot.SGD([first], lr=0.1, flatten=True)
    optimizer.add_param_group({"params": [later]})
    (first.sum() + later.sum()).backward()
    optimizer.zero_grad(set_to_none=False)
    assert later.grad is not None
    assert torch.equal(later.grad, torch.zeros(3))
    optimizer.zero_grad()
    assert later.grad is None


def test_undone_with_the_state_of_an_old_torch() -> None:
    p = nn.Parameter(torch.ones(3))
    optimizer = surefoot.SGD([p], lr=0.1, flatten=True)
    saved = optimizer.state_dict()
    optimizer.load_state_dict({**saved, "state": {0: {"momentum_buffer": None}}})
    optimizer.unflatten()
    assert optimizer.state[p] == {"momentum_buffer": None}


def test_what_is_frozen_later_stands_still() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    for t in range(2):
        optimizer.zero_grad()
        backward(net, t)
        optimizer.step()
    frozen = next(net.parameters()).requires_grad_(False)
    optimizer.zero_grad()
    before = frozen.clone()
    for t in range(2):
        optimizer.zero_grad()
        backward(net, t)
        optimizer.step()
    assert torch.equal(frozen, before)
    frozen.requires_grad_()
    optimizer.zero_grad()
    backward(net, 3)
    optimizer.step()
    assert not torch.equal(frozen, before)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}], ids=str)
def test_sparse_gradients_reach_their_own_parameter(options: dict[str, Any]) -> None:
    """Each lies within the memory of all."""
    params = [nn.Parameter(torch.zeros(6)) for _ in range(3)]
    optimizer = surefoot.SGD(params, lr=1.0, flatten=True, **options)
    for coalesced in (False, True, True, False):
        optimizer.zero_grad()
        params[0].sum().backward()
        grad = torch.sparse_coo_tensor([[1, 2]], [-1.0, -1.0], (6,), check_invariants=True)
        params[1].grad = grad.coalesce() if coalesced else grad
        optimizer.step()
    assert params[2].tolist() == [0] * 6
    moved = -params[0][0].item()
    assert params[0].tolist() == [-moved] * 6
    assert params[1].tolist() == [0, moved, moved, 0, 0, 0]


def test_small_and_large_tensors_are_stepped_by_one_call() -> None:
    sizes = [30_000, 10, 20_000, 10, 10, 10, 40_000, 10]
    params = [nn.Parameter(torch.ones(size)) for size in sizes]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, flatten=True)
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward([p.sum() for p in params])
        optimizer.step()
    assert optimizer._plans.kept is not None
    (run,) = optimizer._plans.kept.runs
    assert run._whole is not None
    assert run._whole[0][0].numel() == sum(sizes)
    assert all(p.eq(1 - (1 + 1.5) / 2).all() for p in params)


def test_what_left_the_model_is_let_go() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    for i in range(2):
        optimizer.zero_grad()
        backward(net, i)
        optimizer.step()
    old = weakref.ref(net[0].weight)
    net[0] = nn.Linear(4, 6)
    del optimizer.param_groups[0]["params"][0]
    optimizer.state.pop(old())
    optimizer.step()
    gc.collect()
    assert old() is None


def test_memory_of_a_dtype_that_the_model_left_is_let_go() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), flatten=True, **OPTIONS)
    optimizer.zero_grad()
    backward(net, 0)
    optimizer.step()
    net.double()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.zero_grad()
    backward(net, 1)
    optimizer.step()
    assert not optimizer._homes
    optimizer.flatten()
    optimizer.zero_grad()
    backward(net, 2)
    optimizer.step()
    assert [home.whole.dtype for home in optimizer._homes] == [torch.float64]


def test_a_gradient_negated_lazily_in_its_own_memory() -> None:
    a, b = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    optimizer = surefoot.SGD([a, b], lr=0.5, flatten=True)
    for i in range(3):
        optimizer.zero_grad()
        (a + b).sum().backward()
        if i == 2:
            assert a.grad is not None
            a.grad = torch._neg_view(a.grad)
        optimizer.step()
    assert a.tolist() == [-0.5] * 4
    assert b.tolist() == [-1.5] * 4


def test_a_lazy_module_is_refused() -> None:
    net = nn.LazyLinear(3)
    with pytest.raises(ValueError, match="has no size yet; pass the model some rows first"):
        surefoot.SGD(net.parameters(), lr=0.1, flatten=True)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"kahan": True}, "kahan=True"),
        ({"differentiable": True}, "differentiable=True"),
        ({"foreach": True}, "foreach=True"),
        ({"foreach": False}, "foreach=False"),
        ({"fused": False}, "fused=False"),
        ({"momentum": 0.5, "convention": "keras"}, "convention='keras'"),
        ({"momentum": 0.5, "convention": "ema", "nesterov": True}, "convention='ema' with nesterov"),
        ({"momentum": 0.5, "state_dtype": torch.float64}, "state_dtype=torch.float64"),
    ],
    ids=str,
)
def test_refused_where_it_does_nothing(options: dict[str, Any], what: str) -> None:
    w, v = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=f"^flatten has no effect with {re.escape(what)}, "):
        surefoot.SGD([w, v], lr=0.1, flatten=True, **options)
    if "differentiable" not in options:  # one group in which it does something is enough
        surefoot.SGD([{"params": [w], **options}, {"params": [v]}], lr=0.1, flatten=True)


def test_taken_where_one_tensor_gains_by_it() -> None:
    wide, narrow = torch.ones(2, dtype=torch.float64), torch.ones(2)
    params = [nn.Parameter(t.clone()) for t in (narrow, wide, wide)]
    surefoot.SGD(params, lr=0.1, momentum=0.5, state_dtype=torch.float64, flatten=True)
    surefoot.SGD([nn.Parameter(narrow)], lr=0.1, foreach=False, fused=True, flatten=True)
    groups = [{"params": []}, {"params": [nn.Parameter(t.clone()) for t in (narrow, wide)]}]
    surefoot.SGD(groups, lr=0.1, momentum=0.5, state_dtype=torch.float64, flatten=True)


@pytest.mark.parametrize("options", [{"convention": "ema", "momentum": 0.5}, {"fused": True}], ids=str)
def test_taken_where_it_does_something(options: dict[str, Any]) -> None:
    params = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = surefoot.SGD(params, lr=0.1, flatten=True, **options)
    for _ in range(3):
        optimizer.zero_grad()
        sum(p.sum() for p in params).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert optimizer._plans.kept is not None
    assert [run._whole is not None for run in optimizer._plans.kept.runs] == [True]


@pytest.mark.parametrize(
    ("dtype", "options", "what"),
    [
        (torch.bfloat16, {}, "torch.bfloat16 on cpu"),
        (torch.complex64, {}, "torch.complex64 on cpu"),
        (torch.float32, {"capturable": True}, "lr as a tensor"),
        (torch.float32, {"weight_decay": torch.tensor(0.5), "capturable": True}, "weight_decay as a tensor"),
    ],
    ids=str,
)
def test_refused_where_no_parameter_is_of_the_kernels_kind(
    dtype: torch.dtype, options: dict[str, Any], what: str
) -> None:
    params = [nn.Parameter(torch.ones(2, dtype=dtype)) for _ in range(2)]
    with pytest.raises(ValueError, match=f"^flatten has no effect with {what}, "):
        surefoot.SGD(params, lr=0.1, flatten=True, **options)


def test_only_what_gains_by_it_is_moved() -> None:
    narrow, wide = (nn.Parameter(torch.ones(2, dtype=d)) for d in (torch.bfloat16, torch.float32))
    before = narrow.data_ptr(), wide.data_ptr()
    surefoot.SGD([narrow, wide], lr=0.1, flatten=True)
    assert narrow.data_ptr() == before[0]
    assert wide.data_ptr() != before[1]


def test_flat_again_once_the_optimizer_is_gone() -> None:
    net = model()
    first = surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    with pytest.raises(
        ValueError, match=r"another optimizer has flattened it; call that one's unflatten\(\), or delete it"
    ):
        surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    del first
    gc.collect()
    second = surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    second.unflatten()
    assert all(p.untyped_storage().nbytes() == p.nbytes for p in net.parameters())


def test_part_of_what_was_flat_is_refused() -> None:
    net = model()
    surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    gc.collect()
    with pytest.raises(
        ValueError,
        match=r"it shares memory with others, perhaps from an earlier flatten; give",
    ):
        surefoot.SGD(list(net.parameters())[1:], lr=0.1, flatten=True)


def test_undone_where_processes_share_the_memory() -> None:
    net = model()
    optimizer = surefoot.SGD(net.parameters(), lr=0.1, flatten=True)
    net.share_memory()
    optimizer.unflatten()
    assert all(p.is_shared() for p in net.parameters())


def test_first_flat_step_allocates_only_the_state() -> None:
    from torch.profiler import ProfilerActivity, profile

    params = [nn.Parameter(torch.randn(1000)) for _ in range(20)]
    optimizer = surefoot.SGD(params, 0.1, 0.9, flatten=True)
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof:
        optimizer.step()
    allocated = sum(max(e.self_cpu_memory_usage, 0) for e in prof.events())
    assert 80_000 <= allocated <= 88_000
    assert optimizer._plans.kept is not None
    assert [run._whole is not None for run in optimizer._plans.kept.runs] == [True]


def test_flat_under_inference_mode() -> None:
    with torch.inference_mode():
        params = [nn.Parameter(torch.ones(2)) for _ in range(2)]
        for p in params:
            p.grad = torch.ones(2)
        optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, flatten=True)
        for _ in range(2):
            optimizer.step()
        assert [p.tolist() for p in params] == [[-0.25, -0.25]] * 2


def test_parameters_without_memory_are_told() -> None:
    with pytest.raises(ValueError, match=r"^flatten has no effect with torch.float32 on meta, "):
        surefoot.SGD([nn.Parameter(torch.ones(2, device="meta"))], lr=0.1, flatten=True)


def test_models_are_laid_out_in_threads() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(40):
                surefoot.SGD([nn.Parameter(torch.ones(4)) for _ in range(8)], lr=0.1, flatten=True)
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed


def test_a_buffer_of_two_parameters_stays_one() -> None:
    ends = []
    for make in (torch.optim.SGD, partial(surefoot.SGD, flatten=True)):
        params = [nn.Parameter(torch.ones(4)) for _ in range(2)]
        optimizer: Any = make(params, lr=0.5, momentum=0.5)
        for i in range(4):
            for p in params:
                p.grad = torch.ones(4)
            if i == 2:
                first, second = (optimizer.state[p] for p in params)
                first["momentum_buffer"] = second["momentum_buffer"]
            optimizer.step()
        ends.append([p.tolist() for p in params])
    assert ends[0] == ends[1]


def test_a_parameter_of_another_shape_leaves_flat_memory() -> None:
    params = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    optimizer = surefoot.SGD(params, lr=0.5, flatten=True)
    for size in (4, 6):
        params[0].data = torch.ones(size)
        optimizer.zero_grad()
        sum(p.sum() for p in params).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert params[0].tolist() == [0.5] * 6
    assert params[1].tolist() == [0.0] * 4


def test_a_parameter_that_left_its_group_keeps_its_gradient() -> None:
    params = [nn.Parameter(torch.ones(4)) for _ in range(3)]
    optimizer = surefoot.SGD(params, lr=0.5, flatten=True)
    optimizer.zero_grad()
    sum(p.sum() for p in params).backward()  # type: ignore[union-attr]
    optimizer.step()
    optimizer.param_groups[0]["params"].pop()
    optimizer.zero_grad()
    assert [p.grad.tolist() for p in params if p.grad is not None] == [[0.0] * 4, [0.0] * 4, [1.0] * 4]
