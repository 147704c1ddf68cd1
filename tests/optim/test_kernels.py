"""The arithmetic, against the exact rules: every combination of options, on every kernel."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import surefoot
from surefoot.rules import get

V = 16  # float32 lanes of the widest vectors there are; 8 and 4 are covered by V - 1 and 2V + 3
SIZES = (0, 1, V - 1, V, V + 1, 2 * V + 3)
KERNELS = {"default": {}, "loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
UNIT = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def combinations(momentum: float, dampening: float, decay: float) -> list[dict[str, Any]]:
    """Every combination of options that is not refused."""
    moments: list[dict[str, Any]] = [{}]
    moments += [{"momentum": momentum, "nesterov": n, "convention": c}
                for n in (False, True) for c in ("torch", "keras", "ema")]  # fmt: skip
    moments += [{"momentum": momentum, "dampening": dampening}]
    decays: list[dict[str, Any]] = [{}]
    decays += [{"weight_decay": decay, "decoupled_weight_decay": d} for d in (False, True)]
    return [m | d | {"maximize": x} for m, d, x in itertools.product(moments, decays, (False, True))]


def rule_for(options: dict[str, Any], lr: Fraction) -> tuple[Any, Any]:
    """The rule and its hyperparameters that `options` of SGD stand for."""
    rule = get(options.get("convention", "torch"))
    h: dict[str, Any] = {"lr": lr, "maximize": options["maximize"]}
    for name in ("momentum", "dampening", "weight_decay"):
        if name in options:
            h[name] = Fraction(options[name])
    if "nesterov" in options:
        h["nesterov"] = options["nesterov"]
    h["decay"] = "decoupled" if options.get("decoupled_weight_decay") else "l2"
    return rule, rule.hyper(**h).map(lambda x: Fraction(x) if isinstance(x, (int, float)) else x)


def exact(
    options: dict[str, Any], lrs: list[Fraction], w: Fraction, grads: list[Fraction | None]
) -> list[Fraction]:
    """The value of w after each step, by the rule."""
    values, state = [], None
    for lr, g in zip(lrs, grads, strict=True):
        rule, h = rule_for(options, lr)
        if g is not None:
            w, state = rule.step(h, w, g, rule.init(h, w) if state is None else state)
        values.append(w)
    return values


def spread(columns: list[Any], size: int, dtype: torch.dtype) -> Tensor:
    """A tensor of that size that goes round the columns."""
    return torch.tensor([float(columns[i % len(columns)]) for i in range(size)], dtype=torch.float64).to(
        dtype
    )


def run(
    options: dict[str, Any],
    lrs: list[float],
    starts: list[Any],
    grads: list[list[Any]],
    dtype: torch.dtype,
    late: list[bool],
) -> list[list[Tensor]]:
    """Tensors of all SIZES stepped together; those that are `late` have no gradient at the first step."""
    params = [torch.nn.Parameter(spread(starts, size, dtype)) for size in SIZES]
    optimizer = surefoot.SGD(params, lr=lrs[0], **options)
    values = []
    for step, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for p, is_late in zip(params, late, strict=True):
            p.grad = None if is_late and step == 0 else spread([g[step] for g in grads], p.numel(), dtype)
        before = [None if p.grad is None else (p.grad.clone(), p.grad._version) for p in params]
        optimizer.step()
        for p, old in zip(params, before, strict=True):
            if old is not None:
                assert torch.equal(p.grad, old[0])
                assert p.grad._version == old[1]
        values.append([p.detach().clone() for p in params])
    return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("late", [(False,) * 6, (False, True, False, True, True, False)], ids=["all", "late"])
def test_every_combination_equals_the_rule_bit_for_bit(
    kernel: str, dtype: torch.dtype, late: tuple[bool, ...]
) -> None:
    """Short runs on dyadic numbers are exact, whatever the order of operations."""
    steps = 3 if dtype == torch.float32 else 5
    half = Fraction(1, 2)
    lrs = [half, half / 2, half / 2, half, half / 2][:steps]
    starts = [Fraction(x) for x in (0, 1, 3, -2, half)]
    rows = ((1, 0, -1, 2, 1), (0, 0, 1, 1, 0), (2, -1, 0, half, 1), (-1, 1, half, 0, 2), (half, 1, 1, -2, 0))
    grads = [[Fraction(x) for x in row] for row in rows]
    for options in combinations(0.75, 0.25, 0.25):
        got = run(options | KERNELS[kernel], [float(x) for x in lrs], starts, grads, dtype, list(late))
        want = {}
        for is_late in set(late):
            masked = [[None if is_late and t == 0 else g for t, g in enumerate(row[:steps])] for row in grads]
            want[is_late] = [exact(options, lrs, w, g) for w, g in zip(starts, masked, strict=True)]
        for t in range(steps):
            for tensor, size, is_late in zip(got[t], SIZES, late, strict=True):
                column = [values[t] for values in want[is_late]]
                assert all(Fraction(float(x)) == x for x in column), "the script has to be exact"
                assert torch.equal(tensor, spread(column, size, dtype)), (options, t + 1, size)


def bound(options: dict[str, Any], lr: float, w: float, grads: list[float]) -> list[float]:
    """The recurrence on absolute values: what rounding errors are relative to."""
    mu, tau, decay = (options.get(k, 0.0) for k in ("momentum", "dampening", "weight_decay"))
    b, values = None, []
    c = {"torch": 1 - tau, "keras": lr, "ema": 1 - mu}[options.get("convention", "torch")]
    w = abs(w)
    for g in map(abs, grads):
        decoupled = options.get("decoupled_weight_decay", False)
        d = g if decoupled else g + decay * w
        if decoupled:
            w += lr * decay * w
        u = d
        if mu:
            first = 1.0 if options.get("convention", "torch") == "torch" else c
            b = first * d if b is None else mu * b + c * d
            u = (first * d + mu * b) if options.get("nesterov") else b
        w += u if mu and options.get("convention") == "keras" else lr * u
        values.append(w)
    return values


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("kernel", KERNELS)
def test_long_runs_stay_within_the_bound(kernel: str, dtype: torch.dtype) -> None:
    """(4 + t)·u·Θ̄ after t steps, for random numbers and options that are no short binary fractions."""
    rng = random.Random(f"{kernel}{dtype}")
    steps, columns, lr = 20, 4, 0.1

    def as_dtype(x: float) -> float:
        return float(torch.tensor(x, dtype=torch.float64).to(dtype))

    starts = [as_dtype(rng.gauss(0, 1)) for _ in range(columns)]
    grads = [[as_dtype(rng.gauss(0, 1)) for _ in range(steps)] for _ in range(columns)]
    for options in combinations(0.9, 0.3, 0.01):
        got = run(options | KERNELS[kernel], [lr] * steps, starts, grads, dtype, [False] * 6)
        want = [exact(options, [Fraction(lr)] * steps, Fraction(w), [Fraction(g) for g in row])
                for w, row in zip(starts, grads, strict=True)]  # fmt: skip
        limit = [bound(options, lr, w, row) for w, row in zip(starts, grads, strict=True)]
        for t in (0, 9, 19):
            for tensor in got[t]:
                for i, x in enumerate(tensor.tolist()):
                    error = abs(Fraction(x) - want[i % columns][t])
                    assert error <= (5 + t) * UNIT[dtype] * limit[i % columns][t], (options, t + 1, i)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("foreach", [False, True])
def test_state_in_float32_is_as_exact_as_float32(dtype: torch.dtype, foreach: bool) -> None:
    """Only the parameter itself is rounded: the buffers agree with a float32 run on the same gradients."""
    torch.manual_seed(0)
    low = torch.nn.Parameter(torch.randn(35).to(dtype))
    high = torch.nn.Parameter(low.detach().float())
    options: dict[str, Any] = {"lr": 0.01, "momentum": 0.9, "foreach": foreach}
    a = surefoot.SGD([low], state_dtype=torch.float32, **options)
    b = surefoot.SGD([high], **options)
    for _ in range(20):
        low.grad = torch.randn(35).to(dtype)
        high.grad = low.grad.float()
        a.step()
        b.step()
    assert a.state[low]["momentum_buffer"].dtype == torch.float32
    assert torch.equal(a.state[low]["momentum_buffer"], b.state[high]["momentum_buffer"])
    assert low.dtype == dtype


def quadratic(dtype: torch.dtype, steps: int, **options: Any) -> Tensor:
    """Minimise Σ h (w − 1)²/2 from w = 3."""
    h = torch.linspace(0.1, 1.0, 32).to(dtype)
    w = torch.nn.Parameter(torch.full((32,), 3.0, dtype=dtype))
    optimizer = surefoot.SGD([w], lr=1e-4, **options)
    for _ in range(steps):
        w.grad = h * (w.detach() - 1)
        optimizer.step()
    return w.detach()


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (10_000, {}),
        (1_000, {"foreach": True}),
        (1_000, {"momentum": 0.9}),
        (10_000, {"momentum": 0.9, "convention": "ema"}),
        (1_000, {"momentum": 0.9, "dampening": 0.9, "foreach": True}),
        (1_000, {"momentum": 0.9, "state_dtype": torch.float32}),
    ],
)
def test_kahan_lets_bfloat16_follow_float32(steps: int, options: dict[str, Any]) -> None:
    """10,000 steps of lr 1e-4: within 2 ulps of float32 with kahan, where plain bfloat16 stands still."""
    h, high = np.linspace(0.1, 1.0, 32, dtype=np.float32), np.full(32, 3.0, np.float32)
    buffer = np.zeros_like(high)
    averages = options.get("convention") == "ema"
    for t in range(steps):
        c = 1 - options.get("momentum", 0) if averages or (t and "dampening" in options) else 1
        buffer = np.float32(options.get("momentum", 0)) * buffer + np.float32(c) * h * (high - 1)
        high -= np.float32(1e-4) * buffer
    low = quadratic(torch.bfloat16, steps, kahan=True, **options)
    ulp = 2.0 ** (np.floor(np.log2(high)) - 7)
    assert (abs(low.float().numpy() - high) / ulp).max() <= 2
    still = quadratic(torch.bfloat16, 1)  # and so for ever: the next gradient is the same
    assert torch.equal(still, torch.full_like(still, 3.0))


def test_kahan_does_not_lose_decoupled_decay() -> None:
    """1 − γλ rounds to 1 in bfloat16; the compensation keeps the decay."""
    w = torch.nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    optimizer = surefoot.SGD([w], lr=0.01, weight_decay=0.1, decoupled_weight_decay=True, kahan=True)
    for _ in range(500):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    assert abs(w[0].item() - (1 - 0.001) ** 500) < 2 * 2**-8


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(
    ("dtype", "state_dtype", "units"),
    [
        (torch.float32, torch.bfloat16, 8),
        (torch.float32, torch.float16, 32),  # in which most of what is kept is too small a number
        (torch.float64, torch.float32, 64),  # and so much is the other run's own
        (torch.float64, torch.bfloat16, 64),
        (torch.bfloat16, torch.float16, 4),
    ],
)
def test_kahan_with_a_narrower_state(
    dtype: torch.dtype, state_dtype: torch.dtype, units: int, foreach: bool
) -> None:
    """A gradient of 0 moves nothing, and many small steps end where a run in float64 does."""
    draw = torch.Generator().manual_seed(0)
    start = (1 + torch.rand(64, generator=draw, dtype=torch.float64)).to(dtype)
    p = torch.nn.Parameter(start.clone())
    optimizer = surefoot.SGD([p], lr=1e-3, kahan=True, state_dtype=state_dtype, foreach=foreach)
    for _ in range(4):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert torch.equal(p, start)
    exact = start.double()
    for _ in range(1000):
        p.grad = torch.randn(64, generator=draw, dtype=torch.float64).to(dtype)
        exact -= 1e-3 * p.grad.double()
        optimizer.step()
    assert (p.detach().double() - exact).abs().max() <= units * UNIT[dtype]


@pytest.mark.parametrize("foreach", [False, True])
def test_kahan_of_parameters_that_become_wider(foreach: bool) -> None:
    p = torch.nn.Parameter(torch.rand(64, generator=torch.Generator().manual_seed(0)).bfloat16())
    optimizer = surefoot.SGD([p], lr=1e-3, kahan=True, foreach=foreach)
    p.grad = torch.zeros_like(p)
    optimizer.step()
    p.grad = None
    p.data = p.data.double() + 2.0**-40
    start = p.detach().clone()
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert torch.equal(p, start)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kahan", [False, True])
@pytest.mark.parametrize("convention", ["torch", "keras", "ema"])
def test_nesterov_with_sparse_gradients_after_a_dense_one(convention: str, kahan: bool, kernel: str) -> None:
    if kahan and kernel == "fused":
        return
    options: dict[str, Any] = {"kahan": True} if kahan else {}
    options |= {"convention": convention, **KERNELS[kernel]}
    ends = []
    for sparse in (False, True):
        p = torch.nn.Parameter(torch.ones(3, 2))
        optimizer = surefoot.SGD([p], lr=0.5, momentum=0.5, nesterov=True, **options)
        p.grad = torch.ones(3, 2)
        optimizer.step()
        for _ in range(2):
            g = torch.tensor([[1.0, -2.0], [0.0, 0.0], [0.5, 4.0]])
            p.grad = g.to_sparse(1) if sparse else g
            optimizer.step()
        ends.append((p.detach(), optimizer.state[p]["momentum_buffer"]))
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])


def test_nesterov_with_a_sparse_gradient_differentiably() -> None:
    p, lr = torch.ones(2, 2), torch.tensor(0.5, requires_grad=True)
    optimizer = surefoot.SGD([p], lr=lr, momentum=0.5, nesterov=True, differentiable=True)
    p.grad = torch.ones(2, 2)
    optimizer.step()
    p.grad = torch.eye(2).to_sparse()
    optimizer.step()
    # u = d + b/2 of b = 1, then of b = d + 1/2
    (by_lr,) = torch.autograd.grad(p.sum(), lr)
    assert by_lr.item() == -(4 * 1.5 + 2 * 1.75 + 2 * 0.25)


TWICE: list[dict[str, Any]] = [
    {}, {"momentum": 0.5}, {"momentum": 0.5, "dampening": 0.5},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.5},
    {"weight_decay": 0.5, "decoupled_weight_decay": True, "momentum": 0.5, "convention": "ema"},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("kernel", [*KERNELS, "kahan", "kahan, foreach"])
@pytest.mark.parametrize("options", TWICE, ids=str)
def test_a_parameter_that_is_twice_is_stepped_twice(options: dict[str, Any], kernel: str) -> None:
    """As by two steps on the same gradient, of which the first alone may be its first."""
    kinds: dict[str, Any] = {**KERNELS, "kahan": {"kahan": True}}
    kinds["kahan, foreach"] = {"kahan": True, "foreach": True}
    p, q, other, third = (torch.nn.Parameter(torch.full((5,), float(i))) for i in (1, 1, 2, 3))
    twice = surefoot.SGD([other, third, p, p], lr=0.5, **options, **kinds[kernel])
    once = surefoot.SGD([q], lr=0.5, **options, foreach=False)
    other.grad = torch.ones(5)  # has its first one earlier
    twice.step()
    for t in range(3):
        for x in (p, q, third):
            x.grad = torch.full((5,), 1.0 + t)
        twice.step()
        once.step()
        once.step()
        assert torch.equal(p, q), t


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("options", TWICE, ids=str)
def test_a_parameter_that_is_twice_is_stepped_twice_differentiably(options: dict[str, Any]) -> None:
    a, b = torch.ones(5), torch.ones(5)
    one = surefoot.SGD([a, a], lr=0.125, **options, differentiable=True)
    other = surefoot.SGD([b, b], lr=0.125, **options)
    for t in range(3):
        a.grad, b.grad = torch.full((5,), 1.0 + t), torch.full((5,), 1.0 + t)
        one.step()
        other.step()
        assert torch.equal(a, b), t
    if options:
        assert torch.equal(one.state[a]["momentum_buffer"], other.state[b]["momentum_buffer"])


def test_a_group_alone_is_differentiable() -> None:
    lr = torch.tensor(0.5, requires_grad=True)
    a, b = torch.ones(2), torch.nn.Parameter(torch.ones(2))
    optimizer = surefoot.SGD([{"params": [a], "differentiable": True}, {"params": [b]}], lr=lr, momentum=0.5)
    w = a = optimizer.param_groups[0]["params"][0]
    for _ in range(2):
        a.grad, b.grad = torch.full((2,), 2.0), torch.full((2,), 2.0)
        optimizer.step()
    (by_lr,) = torch.autograd.grad(w.sum(), lr)
    assert by_lr.item() == -2 * (2 + 3)
    assert b.is_leaf
    assert b.tolist() == w.tolist() == [1 - 0.5 * (2 + 3)] * 2


def test_differentiable_goes_through_every_step() -> None:
    """Gradients of the last loss by lr, decay, start and gradient scale, against finite differences."""

    def train(lr: Tensor, decay: Tensor, w0: Tensor, nesterov: bool, decoupled: bool) -> Tensor:
        w = w0.clone()
        optimizer = surefoot.SGD([w], lr, 0.9, weight_decay=decay, nesterov=nesterov, differentiable=True,
                                 decoupled_weight_decay=decoupled)  # fmt: skip
        for _ in range(4):
            (w.grad,) = torch.autograd.grad((w.clone() ** 3).sum(), w, create_graph=True)
            optimizer.step()
        return w.pow(2).sum()

    for nesterov, decoupled in itertools.product((False, True), repeat=2):
        inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.02, 0.3, [0.5, -0.4])]
        assert torch.autograd.gradcheck(lambda *x, n=nesterov, d=decoupled: train(*x, n, d), inputs)


def test_a_step_allocates_only_the_state() -> None:
    """Peak memory of the first step is the state, of later steps nothing, measured by the allocator."""
    from torch.profiler import ProfilerActivity, profile

    params = [torch.nn.Parameter(torch.randn(1000)) for _ in range(20)]
    size = sum(p.numel() * p.element_size() for p in params)
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer = surefoot.SGD(params, 0.1, 0.9, weight_decay=1e-4, nesterov=True)
    allocated = []
    for _ in range(2):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof:
            optimizer.step()
        allocated.append(sum(max(e.self_cpu_memory_usage, 0) for e in prof.events()))
    assert size <= allocated[0] <= 1.1 * size
    assert allocated[1] == 0
