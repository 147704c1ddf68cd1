"""SGD is a real torch optimizer and does not import torch._dynamo."""

from __future__ import annotations

import copy
import functools
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn import Parameter
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import surefoot

WITHOUT_DYNAMO = """
import io, sys, copy, torch, surefoot
assert "torch._dynamo" not in sys.modules, "by import"
model = torch.nn.Linear(3, 2)
optimizer = surefoot.SGD(model.named_parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=10)
scaler = torch.amp.GradScaler("cpu")
for set_to_none in (True, False, True):
    optimizer.zero_grad(set_to_none=set_to_none)
    scaler.scale(model(torch.ones(1, 3)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    schedule.step()
optimizer.step(lambda: model(torch.ones(1, 3)).sum())
optimizer.add_param_group({"params": [("more", torch.nn.Parameter(torch.ones(1)))], "lr": 0.5})
file = io.BytesIO()
torch.save(optimizer.state_dict(), file)
file.seek(0)
optimizer.load_state_dict(torch.load(file, weights_only=True))
copy.deepcopy(optimizer).step()
repr(optimizer)
assert "torch._dynamo" not in sys.modules, "by use"
import torch._dynamo
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
"""


def test_nothing_imports_dynamo() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_DYNAMO], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr


def one() -> tuple[Parameter, surefoot.SGD]:
    w = Parameter(torch.ones(2))
    return w, surefoot.SGD([w], lr=0.5, momentum=0.5)


def test_it_is_a_torch_optimizer() -> None:
    assert isinstance(one()[1], torch.optim.Optimizer)


def test_closure_runs_once_with_gradients_and_its_loss_comes_back() -> None:
    w, optimizer = one()
    calls = []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert calls == [True]
    assert loss.item() == 2
    assert torch.equal(w, torch.zeros(2))
    assert torch.is_grad_enabled()


def test_step_leaves_no_graph() -> None:
    w, optimizer = one()
    (w**2).sum().backward()
    optimizer.step()
    assert w.is_leaf
    assert w.requires_grad
    assert w.grad_fn is None
    assert not optimizer.state[w]["momentum_buffer"].requires_grad


def test_hooks_run_in_torchs_order_and_once() -> None:
    order: list[str] = []

    class Child(surefoot.SGD):
        def step(self, closure: Any = None) -> Any:
            order.append("step")
            return super().step(closure)

    for cls in (surefoot.SGD, Child):
        w = Parameter(torch.ones(2))
        optimizer = cls([w], lr=0.5)
        w.grad = torch.ones(2)
        handles = [
            optimizer.register_step_pre_hook(lambda *_: order.append("pre")),
            optimizer.register_step_post_hook(lambda *_: order.append("post")),
            register_optimizer_step_pre_hook(lambda *_: order.append("global pre")),
            register_optimizer_step_post_hook(lambda *_: order.append("global post")),
        ]
        order.clear()
        optimizer.step()
        for handle in handles:
            handle.remove()
        assert [x for x in order if x != "step"] == ["global pre", "pre", "post", "global post"]
        optimizer.step()
        assert len(order) == 4 + 2 * (cls is Child)


def test_a_pre_hook_may_change_the_arguments() -> None:
    w, optimizer = one()
    w.grad = torch.ones(2)
    optimizer.register_step_pre_hook(lambda self, args, kwargs: ((self, lambda: 7.0), {}))
    assert optimizer.step() == 7.0


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((None,), {}), ((), {"closure": None}), ((float,), {}), ((), {"closure": float})],
    ids=str,
)
def test_hooks_see_the_arguments_as_they_were_given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    seen = []
    for make in (surefoot.SGD, torch.optim.SGD):
        optimizer = make([torch.nn.Parameter(torch.ones(2))], lr=0.1)
        optimizer.register_step_pre_hook(lambda _, a, k: seen.append((a[1:], k)))
        optimizer.register_step_post_hook(lambda _, a, k: seen.append((a[1:], k)))
        optimizer.step(*args, **kwargs)
    assert seen == [(args, kwargs)] * 4


class Wrapped(surefoot.SGD):
    """A step of its own that looks like the one it calls."""

    @functools.wraps(surefoot.SGD.step)
    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


class Plain(surefoot.SGD):
    """A step of its own, around which torch runs the hooks."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


@pytest.mark.parametrize("kind", [surefoot.SGD, Plain, Wrapped])
def test_hooks_run_once_around_a_step_of_ones_own(kind: Any) -> None:
    seen = []
    optimizer = kind([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    optimizer.step()
    assert seen == [1]


def test_state_dict_hooks_run() -> None:
    w, optimizer = one()
    seen: list[str] = []
    optimizer.register_state_dict_post_hook(lambda o, d: d | {"extra": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append(str(d.pop("extra"))))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("post"))
    w.grad = torch.ones(2)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["1", "post"] * 2
    assert torch.equal(optimizer.state[w]["momentum_buffer"], torch.ones(2))


def test_the_profiler_sees_a_step() -> None:
    from torch.profiler import profile

    w, optimizer = one()
    w.grad = torch.ones(2)
    with profile() as prof:
        optimizer.step()
        optimizer.zero_grad()
    names = {e.name for e in prof.events()}
    assert {"Optimizer.step#SGD.step", "Optimizer.zero_grad#SGD.zero_grad"} <= names


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies_go_on_alone(copied: Any) -> None:
    w, optimizer = one()
    w.grad = torch.ones(2)
    optimizer.step()
    twin = copied(optimizer)
    v = twin.param_groups[0]["params"][0]
    assert v is not w
    for p, o in ((w, optimizer), (v, twin)):
        p.grad = torch.full((2,), 2.0)
        o.step()
    assert torch.equal(w, v)
    assert torch.equal(optimizer.state[w]["momentum_buffer"], twin.state[v]["momentum_buffer"])
    assert optimizer.state[w]["momentum_buffer"].data_ptr() != twin.state[v]["momentum_buffer"].data_ptr()


def test_a_deepcopied_model_and_optimizer_stay_together() -> None:
    w, optimizer = one()
    model, twin = copy.deepcopy(({"w": w}, optimizer))
    assert twin.param_groups[0]["params"][0] is model["w"]


def test_zero_grad() -> None:
    w, optimizer = one()
    w.grad = torch.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert torch.equal(w.grad, torch.zeros(2))
    optimizer.zero_grad()
    assert w.grad is None


def test_step_under_compile() -> None:
    """torch.compile leaves the step as it is: no retracing when lr changes, and the same numbers."""
    runs = []
    for compiled in (False, True):
        w, optimizer = one()
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        for lr in (0.5, 0.25, 0.125):
            optimizer.param_groups[0]["lr"] = lr
            w.grad = torch.ones(2)
            step()
        runs.append(w.detach())
    assert torch.equal(*runs)


@pytest.mark.parametrize("kernel", [{}, {"flatten": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_compiled_training_step(kernel: dict[str, Any]) -> None:
    """All of a training step in one compiled function: equal numbers, no new program for a new lr."""
    from torch._dynamo.testing import CompileCounter

    def train(compiled: bool) -> tuple[list[torch.Tensor], list[int]]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))
        optimizer = surefoot.SGD(net.parameters(), 0.1, 0.9, weight_decay=0.01, **kernel)

        def step() -> None:
            optimizer.zero_grad()
            net(torch.ones(3, 4)).pow(2).mean().backward()
            optimizer.step()

        counter = CompileCounter()
        run = torch.compile(step, backend=counter) if compiled else step
        programs = []
        for i in range(5):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            run()
            programs.append(counter.frame_count)
        return [p.detach().clone() for p in net.parameters()], programs

    torch._dynamo.reset()
    (values, programs), (expected, _) = train(True), train(False)
    assert all(map(torch.equal, values, expected))
    assert programs[1:] == [programs[1]] * 4, "a new program for a new lr"


def test_a_step_of_ones_own_is_compiled_once_not_run_twice() -> None:
    calls = []

    class Child(surefoot.SGD):
        def step(self, closure: Any = None) -> Any:
            calls.append("step")
            return super().step(closure)

    w = Parameter(torch.ones(2))
    optimizer = Child([w], lr=0.5)
    step = torch.compile(optimizer.step, backend="eager")
    for _ in range(3):
        w.grad = torch.ones(2)
        step()
    assert calls == ["step"] * 3
    assert torch.equal(w, torch.full((2,), -0.5))


def test_memory_stays_flat() -> None:
    """A thousand steps leave no tensor behind."""
    import gc

    w, optimizer = one()

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(x), torch.Tensor) for x in gc.get_objects())

    counts = []
    for steps in (3, 1000):
        for _ in range(steps):
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()
        counts.append(tensors())
    assert counts[1] <= counts[0]  # fewer where another test's were still there at first
