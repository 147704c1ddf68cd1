"""Every dtype and layout of parameters and gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Parameter

import surefoot


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128],
    ids=str,
)
@pytest.mark.parametrize(
    "kernel", [{}, {"foreach": False}, {"foreach": True}], ids=["default", "loop", "foreach"]
)
def test_dtypes(dtype: torch.dtype, kernel: dict[str, Any]) -> None:
    """One group of several dtypes; the numbers are exact in all of them."""
    value = 2 - 1j if dtype.is_complex else 2
    params = [Parameter(torch.full((3, 2), value, dtype=dtype)), Parameter(torch.full((3, 2), 2.0))]
    optimizer = surefoot.SGD(params, lr=0.5, momentum=0.5, weight_decay=0.5, nesterov=True, **kernel)
    for _ in range(2):
        for p in params:
            p.grad = torch.ones_like(p)
        optimizer.step()

    # d = 1 + w/2, u = d + b/2; of the imaginary part the same with gradient 0
    def by_hand(w: float, g: float) -> float:
        b = 0.0
        for _ in range(2):
            d = g + w / 2
            b = b / 2 + d
            w -= (d + b / 2) / 2
        return w

    expected = complex(by_hand(2, 1), by_hand(-1, 0)) if dtype.is_complex else by_hand(2, 1)
    assert torch.equal(params[0].detach(), torch.full((3, 2), expected, dtype=dtype))
    assert torch.equal(params[1].detach(), torch.full((3, 2), by_hand(2, 1)))
    assert optimizer.state[params[0]]["momentum_buffer"].dtype == dtype


@pytest.mark.parametrize("conjugated", [False, True])
def test_complex_equals_two_reals(conjugated: bool) -> None:
    torch.manual_seed(0)
    z = Parameter(torch.randn(5, dtype=torch.complex128))
    r = Parameter(torch.view_as_real(z.detach()).clone())
    options: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}
    a, b = surefoot.SGD([z], **options), surefoot.SGD([r], **options)
    for _ in range(5):
        g = torch.randn(5, dtype=torch.complex128)
        z.grad = g.conj().resolve_conj().conj() if conjugated else g
        r.grad = torch.view_as_real(g).clone()
        a.step()
        b.step()
    assert torch.equal(torch.view_as_real(z.detach()), r.detach())


def layouts() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {
        "0-dim": (torch.tensor(2.0), torch.tensor(1.0)),
        "empty": (torch.ones(0, 3), torch.ones(0, 3)),
        "every other column": (torch.full((4, 6), 2.0)[:, ::2], torch.ones(4, 3)),
        "transposed": (torch.full((4, 6), 2.0).t(), torch.ones(6, 4)),
        "channels last": (
            torch.full((2, 3, 4, 5), 2.0).to(memory_format=torch.channels_last),
            torch.ones(2, 3, 4, 5),
        ),
        "expanded gradient": (torch.full((4, 6), 2.0), torch.ones(1).expand(4, 6)),
        "negated gradient": (torch.full((4,), 2.0), torch._neg_view(torch.full((4,), -1.0))),
    }


@pytest.mark.parametrize("kernel", [{}, {"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
@pytest.mark.parametrize("name", layouts())
def test_layouts(name: str, kernel: dict[str, Any]) -> None:
    start, grad = layouts()[name]
    w, other = Parameter(start), Parameter(torch.full((3,), 2.0))
    stride, pointer = w.stride(), w.data_ptr()
    optimizer = surefoot.SGD([w, other], lr=0.5, momentum=0.5, **kernel)
    for _ in range(2):
        w.grad, other.grad = grad, torch.ones(3)
        version = w._version
        optimizer.step()
        assert w._version > version
    assert torch.equal(w.detach(), torch.full_like(w, 2 - 0.5 - 0.75))
    assert torch.equal(other.detach(), torch.full((3,), 0.75))
    assert (w.stride(), w.data_ptr()) == (stride, pointer)


SPARSE: list[dict[str, Any]] = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.5, "nesterov": True, "maximize": True},
    {"momentum": 0.5, "convention": "keras"},
    {"momentum": 0.5, "kahan": True},
    {"momentum": 0.5, "state_dtype": torch.float64},
    {"weight_decay": 0.5, "decoupled_weight_decay": True},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
@pytest.mark.parametrize("options", SPARSE, ids=str)
def test_sparse_equals_dense(options: dict[str, Any], dtype: torch.dtype) -> None:
    results = []
    for sparse in (True, False):
        table = Parameter(torch.ones(6, 3, dtype=dtype))
        optimizer = surefoot.SGD([table], lr=0.5, **options)
        for rows in ([1, 1, 2], [2, 5], [0]):  # a row that comes twice counts twice
            g = torch.sparse_coo_tensor(
                torch.tensor([rows]), torch.ones(len(rows), 3, dtype=dtype), (6, 3), check_invariants=False
            )
            table.grad = g if sparse else g.to_dense()
            optimizer.step()
        results.append(table.detach())
    assert torch.equal(*results)


@given(
    shape=st.sampled_from([(5,), (3, 2), (2, 2, 2)]),
    places=st.lists(st.integers(0, 3), max_size=4),
    coalesced=st.booleans(),
    offset=st.integers(0, 9),
    options=st.sampled_from(SPARSE),
)
def test_sparse_gradients_of_numbers_stay_within_a_view(
    shape: tuple[int, ...], places: list[int], coalesced: bool, offset: int, options: dict[str, Any]
) -> None:
    """Torch writes beside it where there is one number, or where they are coalesced."""
    size = math.prod(shape)
    memory, results = torch.zeros(40), []
    for view in (memory[offset : offset + size], torch.zeros(size)):
        w = Parameter(view.view(shape))
        optimizer = surefoot.SGD([w], lr=0.5, **options)
        for t in range(2):
            indices = torch.tensor([[(k + t) % n for k in places] for n in shape]).reshape(len(shape), -1)
            values = torch.arange(1.0, len(places) + 1)
            g = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)
            w.grad = g.to_dense() if results else g.coalesce() if coalesced else g
            optimizer.step()
        results.append(w.detach())
    assert torch.equal(*results)
    memory[offset : offset + size] = 0
    assert not memory.any()


def test_sparse_gradients_cannot_carry_coupled_decay() -> None:
    table = torch.nn.Embedding(6, 3, sparse=True)
    optimizer = surefoot.SGD(table.parameters(), lr=0.5, weight_decay=0.1)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="weight_decay is not possible with sparse gradients"):
        optimizer.step()


@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("make", [torch.conj, lambda z: z.mH], ids=["conj", "mH"])
def test_a_parameter_that_is_conjugated_lazily(make: Any, kernel: dict[str, Any]) -> None:
    torch.manual_seed(0)
    z = torch.randn(3, 2, dtype=torch.complex128)
    options: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}
    p, q = Parameter(make(z)), Parameter(make(z.clone()).resolve_conj().clone())
    other, same = (Parameter(torch.ones(2, dtype=torch.complex128)) for _ in range(2))
    assert p.is_conj()
    a, b = surefoot.SGD([p, other], **options, **kernel), surefoot.SGD([q, same], **options, **kernel)
    for _ in range(4):
        p.grad = torch.randn(p.shape, dtype=torch.complex128)
        q.grad = p.grad.clone()
        other.grad = same.grad = torch.ones(2, dtype=torch.complex128)
        a.step()
        b.step()
    torch.testing.assert_close(p, q, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(other, same, rtol=0, atol=0)


@pytest.mark.parametrize("lazily", [torch.conj, torch._neg_view])
def test_a_buffer_that_is_not_what_its_memory_says(lazily: Any) -> None:
    dtype = torch.complex64 if lazily is torch.conj else torch.float32
    p = Parameter(torch.zeros(3, dtype=dtype))
    optimizer = surefoot.SGD([p], lr=1.0, momentum=0.5)
    buffer = lazily(torch.full((3,), 2j if dtype.is_complex else 2.0, dtype=dtype))
    optimizer.state[p]["momentum_buffer"] = buffer
    for _ in range(2):
        p.grad = torch.zeros(3, dtype=dtype)
        optimizer.step()
    assert torch.equal(p.detach(), -(0.5 + 0.25) * buffer)


@pytest.mark.filterwarnings("ignore:.* is in (beta|prototype)", "ignore:The PyTorch API of nested")
@pytest.mark.parametrize("momentum", [0, 0.5])
@pytest.mark.parametrize("kernel", [{}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("layout", ["compressed rows", "nested"])
def test_what_has_no_strides_is_stepped_as_by_torch(
    layout: str, kernel: dict[str, Any], momentum: float
) -> None:
    results = []
    for make in (surefoot.SGD, torch.optim.SGD):
        if layout == "nested":
            rows = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)])
        else:
            rows = torch.eye(3).to_sparse_csr()
        p, plain = rows.requires_grad_(), Parameter(torch.ones(2))
        optimizer = make([p, plain], lr=0.5, momentum=momentum, **kernel)
        for _ in range(3):
            optimizer.zero_grad()
            plain.sum().backward()
            if layout == "nested":
                torch.nested.to_padded_tensor(p, 0.0).sum().backward()
            else:
                p.grad = torch.eye(3).to_sparse_csr()
            optimizer.step()
        after = p.detach()
        dense = torch.nested.to_padded_tensor(after, 0.0) if layout == "nested" else after.to_dense()
        assert not torch.equal(dense, torch.ones_like(dense))
        results.append(torch.cat([dense.flatten(), plain.detach()]))
    assert torch.equal(*results)


def test_float32_gradients_of_bfloat16_parameters_keep_a_float32_buffer() -> None:
    """As torch does, whose first buffer is the gradient."""
    if not hasattr(Parameter, "grad_dtype"):
        pytest.skip("this torch has no grad_dtype")
    options: dict[str, Any] = {"lr": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}
    results = []
    for make in (surefoot.SGD, torch.optim.SGD):
        p = Parameter(torch.ones(4, dtype=torch.bfloat16))
        p.grad_dtype = torch.float32
        optimizer = make([p], **options, foreach=False)
        for _ in range(3):
            p.grad = torch.full((4,), 1.0001)
            optimizer.step()
        assert optimizer.state[p]["momentum_buffer"].dtype == torch.float32
        results.append(p.detach())
    assert torch.equal(*results)


def test_a_sparse_gradient_of_a_view_whatever_the_default_device() -> None:
    w = Parameter(torch.zeros(12)[4:8])
    w.grad = torch.tensor([1.0, 0.0, 0.0, 0.0]).to_sparse().coalesce()
    optimizer = surefoot.SGD([w], lr=1.0)
    with torch.device("meta"):
        optimizer.step()
    assert w.tolist() == [-1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8], ids=str)
@pytest.mark.parametrize("options", [{}, {"nesterov": True}, {"weight_decay": 1}], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_whole_numbers_are_stepped_as_by_torch(
    transposed: bool, options: dict[str, Any], dtype: torch.dtype
) -> None:
    ends = []
    for make in (torch.optim.SGD, surefoot.SGD):
        p, g = torch.arange(20, 28, dtype=dtype).view(4, 2), torch.ones(4, 2, dtype=dtype)
        p, g = (p.t(), g.t()) if transposed else (p, g)
        p.grad = g
        optimizer = make([p], lr=1, momentum=1, **options)
        for _ in range(2):
            optimizer.step()
        ends.append(p)
    assert torch.equal(*ends)
