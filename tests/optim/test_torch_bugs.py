"""The bugs of torch.optim.SGD: each is shown in torch (or skipped once torch is right) and absent here."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import surefoot

Make = Callable[..., torch.optim.Optimizer]


def wrong_in_torch_right_here(shows_bug: Callable[[Make], bool], **options: Any) -> None:
    """Run the same check on both."""
    assert not shows_bug(lambda params, **more: surefoot.SGD(params, **options, **more))
    if not shows_bug(lambda params, **more: torch.optim.SGD(params, **options, **more)):
        pytest.skip(f"torch {torch.__version__} is right here")


def test_foreach_nesterov_writes_into_the_gradient() -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(3))
        w.grad = torch.ones(3)
        make([w]).step()
        return not torch.equal(w.grad, torch.ones(3))

    wrong_in_torch_right_here(shows_bug, lr=0.1, momentum=0.9, nesterov=True, foreach=True)


def test_fused_overflow_on_the_first_step_leaves_memory_uninitialised() -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(1000))
        optimizer = make([w])
        w.grad = torch.ones(1000)
        optimizer.found_inf = torch.tensor(1.0)  # type: ignore[attr-defined]
        optimizer.step()
        # torch's buffer exists now, holds whatever the memory held, and the next step takes it for a real one
        return len(optimizer.state) > 0

    wrong_in_torch_right_here(shows_bug, lr=0.1, momentum=0.9, fused=True)


def test_a_skipped_first_step_stays_the_first() -> None:
    w = Parameter(torch.ones(3))
    optimizer = surefoot.SGD([w], lr=0.1, momentum=0.9, dampening=0.5, fused=True)
    w.grad = torch.ones(3)
    optimizer.found_inf = torch.tensor(1.0)  # type: ignore[attr-defined]
    optimizer.step()
    assert torch.equal(w, torch.ones(3))
    assert not optimizer.state
    optimizer.found_inf = torch.tensor(0.0)  # type: ignore[attr-defined]
    optimizer.step()
    assert torch.equal(optimizer.state[w]["momentum_buffer"], torch.ones(3))  # not dampened


def test_fused_late_first_gradient() -> None:
    def shows_bug(make: Make) -> bool:
        a, b = Parameter(torch.ones(3)), Parameter(torch.ones(3))
        optimizer = make([a, b])
        a.grad = torch.ones(3)
        optimizer.step()
        b.grad = torch.ones(3)
        try:
            optimizer.step()
        except TypeError:
            return True
        # a: buffer 1, then 0.9 + 0.5; b: its first gradient is not dampened
        return not (
            torch.allclose(a, torch.full((3,), 1 - 0.1 - 0.14)) and torch.allclose(b, torch.full((3,), 0.9))
        )

    wrong_in_torch_right_here(shows_bug, lr=0.1, momentum=0.9, dampening=0.5, fused=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fused_low_precision_leaves_whole_vectors(dtype: torch.dtype) -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(100, dtype=dtype))
        w.grad = torch.ones(100, dtype=dtype)
        make([w]).step()
        return not torch.equal(w, torch.full((100,), 0.5, dtype=dtype))

    wrong_in_torch_right_here(shows_bug, lr=0.5, momentum=0.5, fused=True)


@pytest.mark.parametrize(
    ("start", "gradient"),
    [
        (lambda: torch.arange(24.0).view(4, 6)[:, ::2], lambda: torch.ones(4, 3)),
        (lambda: torch.zeros(4, 6), lambda: torch.arange(24.0).view(6, 4).t()),
    ],
    ids=["gaps in the parameter", "transposed gradient"],
)
def test_fused_ignores_strides(start: Callable[[], Tensor], gradient: Callable[[], Tensor]) -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(start())
        w.grad = gradient()
        expected = w.detach() - 0.5 * w.grad
        make([w]).step()
        return not torch.equal(w, expected)

    wrong_in_torch_right_here(shows_bug, lr=0.5, fused=True)


def test_fused_ignores_the_size_of_the_buffer() -> None:
    """Here it leaves the rest of the buffer alone; with a parameter that has grown it writes past the end."""

    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(8))
        optimizer = make([w])
        w.grad = torch.ones(8)
        optimizer.step()
        w.data, w.grad = torch.ones(3), None
        w.grad = torch.ones(3)
        try:
            optimizer.step()
        except RuntimeError:
            return False
        return True

    wrong_in_torch_right_here(shows_bug, lr=0.5, momentum=0.5, fused=True)


def test_fused_hides_the_change_from_autograd() -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(3))
        loss = (w**2).sum()
        w.grad = torch.ones(3)
        make([w]).step()
        try:
            loss.backward()  # w has changed since: its gradient at the old point is lost
        except RuntimeError:
            return False
        return True

    wrong_in_torch_right_here(shows_bug, lr=0.5, fused=True)


def test_fused_unscaling_writes_into_the_gradient() -> None:
    def shows_bug(make: Make) -> bool:
        w = Parameter(torch.ones(3))
        w.grad = torch.full((3,), 8.0)
        optimizer = make([w])
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(8.0), torch.tensor(0.0)  # type: ignore[attr-defined]
        optimizer.step()
        assert torch.equal(w, torch.full((3,), 0.5))
        return not torch.equal(w.grad, torch.full((3,), 8.0))

    wrong_in_torch_right_here(shows_bug, lr=0.5, fused=True)


def test_differentiable_loses_the_first_buffer() -> None:
    def shows_bug(make: Make) -> bool:
        start = torch.ones(3, requires_grad=True)
        w = start.clone()
        w.grad = start * 1.0  # the gradient of ½‖start‖²
        make([w]).step()
        (slope,) = torch.autograd.grad(w.sum(), start)
        return not torch.allclose(slope, torch.full((3,), 0.5))  # w = start − 0.5 start

    wrong_in_torch_right_here(shows_bug, lr=0.5, momentum=0.9, differentiable=True)


def test_loading_in_one_process_shares_the_buffers() -> None:
    def shows_bug(make: Make) -> bool:
        w, v = Parameter(torch.ones(3)), Parameter(torch.ones(3))
        a, b = make([w]), make([v])
        w.grad = torch.ones(3)
        a.step()
        b.load_state_dict(a.state_dict())
        return a.state[w]["momentum_buffer"].data_ptr() == b.state[v]["momentum_buffer"].data_ptr()

    wrong_in_torch_right_here(shows_bug, lr=0.5, momentum=0.9)


def test_a_learning_rate_of_numpy_s_makes_a_checkpoint_that_is_refused() -> None:
    def shows_bug(make: Make) -> bool:
        file = io.BytesIO()
        torch.save(make([Parameter(torch.ones(3))]).state_dict(), file)
        file.seek(0)
        try:
            torch.load(file, weights_only=True)
        except pickle.UnpicklingError:
            return True
        return False

    wrong_in_torch_right_here(shows_bug, lr=np.logspace(-3, -1, 3)[1])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("entries", [4, 1])
def test_a_coalesced_sparse_gradient_of_a_view_writes_beside_it(entries: int, momentum: float) -> None:
    def shows_bug(make: Make) -> bool:
        memory = torch.zeros(12)
        p = Parameter(memory[4:8])
        # one entry is coalesced, whatever it says
        g = torch.sparse_coo_tensor([[*range(entries)]], [-1.0] * entries, (4,), check_invariants=True)
        p.grad = g if entries == 1 else g.coalesce()
        make([p]).step()
        return memory.tolist() != [0] * 4 + [1] * entries + [0] * (8 - entries)

    wrong_in_torch_right_here(shows_bug, lr=1.0, momentum=momentum)
