"""Clauses on numbers and memory: NaN, determinism, graphs, loss scaling, and the implementations."""

from __future__ import annotations

import gc
import time
from typing import Any

import torch
from torch import Tensor

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.settings import paths
from surefoot.check.contract.tools import gradient, run, weight


@clause(
    "numerics",
    "NaN and infinite gradients stay visible",
    why="A run that silently continues may waste a day before anyone looks.",
    mend="Do not use clamp or nan_to_num in step(); if such steps should be skipped, leave that to "
    "GradScaler.",
    cases=[{"bad": "nan"}, {"bad": "inf"}],
    refuses=("Exception",),  # the opposite of hiding it
)
def not_finite(make: Make, bad: str) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    start = w.tolist()
    for t in range(9):
        w.grad = gradient(w, t)
        if w.tolist() != start:  # some wait some steps before their first move
            w.grad[0, 0] = float(bad)
        opt.step()
    shows = not abs(w.tolist()[0][0]) < 1e9
    if not shows and _by_sign(make):
        sign = {"nan": 0, "inf": 1}[bad]
        return {"differs": f"its steps depend on a gradient's sign, not its size, and sign({bad}) is {sign}"}
    if not shows and bad == "inf" and (name := _kept_in_state(make)):
        return {
            "differs": f"its steps are bounded, as by atan2: an infinite gradient stays in state[{name!r}]"
        }
    return [(f"w shows that its gradient was {bad}", True, shows)]


def _kept_in_state(make: Make) -> str:
    """What of the state becomes infinite with a gradient, if nothing hides NaN: steps are then bounded."""
    w, twin = weight(2, 2), weight(2, 2)
    opt, other = make([w]), make([twin])
    for t in range(9):
        w.grad, twin.grad = gradient(w, t), gradient(w, t)
        if t > 5:
            w.grad[0, 0], twin.grad[0, 0] = float("inf"), float("nan")
        opt.step()
        other.step()
    held = {k: v for k, v in opt.state.get(w, {}).items() if torch.is_tensor(v) and v.shape == w.shape}
    infinite = [str(k) for k, v in held.items() if v.isinf().any()]
    return infinite[0] if infinite and bool(twin.isnan().any()) else ""


def _by_sign(make: Make) -> bool:
    """Whether steps stay as they are when one gradient is a little larger.

    So little that the sign of a slow mean does not turn; in float64 any other step shows it.
    """
    ends = []
    for scale in (1.0, 1 + 2.0**-14):
        w = weight(2, 2, dtype=torch.float64)
        opt = make([w])
        for t in range(9):
            w.grad = gradient(w, t) * (scale if t == 1 else 1.0)
            opt.step()
        ends.append(w.tolist())
    return ends[0] == ends[1]


@clause(
    "numerics",
    "two identical runs give identical bits",
    why="Otherwise a fault cannot be reproduced by running again.",
    mend="Draw random numbers from torch's generator, step parameters in a fixed order, and use zeros_like.",
    over="singles",
    cases=[{"dtype": "float32"}, {"dtype": "bfloat16"}],  # where rounding may be drawn
    refuses=("Exception",),  # other clauses ask for steps, and for each dtype
)
def deterministic(make: Make, dtype: str) -> Claims:
    def end() -> Tensor:
        torch.manual_seed(0)
        w = weight(3, 5, dtype=getattr(torch, dtype))
        opt = make([w])
        for t in range(3):
            w.grad = gradient(w, t) / 3  # so that steps are rounded, for which numbers may be drawn
            opt.step()
        return w

    torch.set_deterministic_debug_mode("default")
    w, twin = end(), end()
    torch.set_deterministic_debug_mode("warn")  # from here on torch.empty makes NaN
    third = end()
    return [
        (
            "which elements of w are NaN after 3 steps, if torch.empty makes NaN",
            w.isnan().tolist(),
            third.isnan().tolist(),
        ),
        ("w after 3 steps, run again", w.tolist(), twin.tolist()),
    ]


@clause(
    "numerics",
    "state keeps no autograd graph",
    why="A buffer with a grad_fn keeps the graphs of all earlier steps: memory grows until the run dies.",
    mend="Decorate step() with @torch.no_grad().",
    over="flags",
    quick=True,
)
def no_graph(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    run(opt, [w], range(2))
    kept = [k for k, v in opt.state.get(w, {}).items() if torch.is_tensor(v) and v.requires_grad]
    return [("state tensors that require gradients", [], kept)]


@clause(
    "numerics",
    "memory stays flat over 1,000 steps",
    why="Lists of losses, gradients or graphs that only grow exhaust memory in long runs.",
    mend="Keep running values, not full histories.",
    over="rich",
)
def flat_memory(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    run(opt, [w], range(10))
    gc.collect()
    early = sum(torch.is_tensor(o) for o in gc.get_objects())
    until = time.monotonic() + 2  # of slow steps fewer are made
    for t in range(1000):
        run(opt, [w], [t])
        if time.monotonic() > until:
            break
    gc.collect()
    late = sum(torch.is_tensor(o) for o in gc.get_objects())
    return [
        ("the number of tensors alive does not grow by hundreds in 1,000 steps", True, late - early < 300)
    ]


@clause(
    "numerics",
    "a step skipped by loss scaling changes nothing, even if it is the first",
    why="With float16 the first steps overflow by design: GradScaler skips them and lowers its scale.",
    mend="If the optimizer handles found_inf itself, create no state and write nothing when it is set.",
    over="combos",
    needs=["repeatable"],
)
def skipped_step(make: Make) -> Claims:
    torch.set_deterministic_debug_mode("warn")  # torch.empty then makes NaN
    w, twin = weight(5, 5), weight(5, 5)
    opt = make([w])
    run(make([twin]), [twin], range(1))
    before = w.tolist()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(torch.zeros(()))
    w.grad = torch.full_like(w, torch.inf)
    scaler.step(opt)
    scaler.update()
    skipped = w.tolist()
    w.grad = gradient(w, 0) * scaler.get_scale()
    scaler.step(opt)
    return [
        ("w after a step whose gradient overflowed", before, skipped),
        ("w after the next step, whose gradient is finite", twin.tolist(), w.tolist(), 1e-6),
    ]


@clause(
    "numerics",
    "its implementations agree: loop, foreach, fused, capturable",
    why="The fast path runs by default; it must compute the same as the loop, at every size, in every dtype.",
    mend="Test each path against the plain loop, in every dtype, with sizes around the vector width.",
    over="flags",
    cases=paths,
    refusal="support",
    needs=["repeatable"],
)
def paths_agree(
    make: Make, fast: dict[str, bool], loop: dict[str, bool], dtype: str, groups: int, other: dict[str, Any]
) -> Claims:
    kind = getattr(torch, dtype)
    one = [weight(n, 1, dtype=kind) for n in (1, 7, 8, 15, 16, 17, 67)]
    two = [w.detach().clone().requires_grad_() for w in one]
    first = make([{"params": one[:3]}, {"params": one[3:], **other}] if groups == 2 else one, **loop)
    second = make([{"params": two[:3]}, {"params": two[3:], **other}] if groups == 2 else two, **fast)
    run(first, one, range(2))
    run(second, two, range(2))
    near = {"float64": 1e-9, "float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}[dtype]
    if _in_bfloat16(make, loop, one, two, near):
        return {"differs": "its steps are computed in bfloat16, and differ by at most its last digit"}
    name = ", ".join(k for k, v in fast.items() if v)
    return [
        (
            f"{a.numel()} element{'s' * (a.numel() > 1)} after 2 steps, {name} against the loop, in {dtype}",
            a.tolist(),
            b.tolist(),
            near,
        )
        for a, b in zip(one, two, strict=True)
    ]


def _in_bfloat16(
    make: Make, loop: dict[str, bool], one: list[Tensor], two: list[Tensor], near: float
) -> bool:
    """Whether paths part by the last digit of a bfloat16, and the loop takes gradients no more exactly."""
    parted = max(float((a - b).detach().abs().max()) for a, b in zip(one, two, strict=True))
    if parted <= near or one[0].dtype.itemsize < 4:
        return False

    def moved(change: float) -> Tensor:
        weights = [weight(*w.shape, dtype=w.dtype) for w in one]
        opt = make(weights, **loop)
        for t in range(2):
            for w in weights:
                w.grad = gradient(w, t) * (1 + change * (torch.arange(w.numel()) % 3 - 1)).reshape(w.shape)
            opt.step()
        return torch.cat([w.detach() - weight(*w.shape, dtype=w.dtype) for w in weights])

    plain = moved(0.0)
    fine, coarse = (moved(2.0**-n).sub(plain).abs() for n in (18, 4))
    size = float(plain.abs().max())
    in_float32 = bool(((fine > 0) & (fine < size * 2**-11)).any())  # it takes what is larger than rounding
    return not in_float32 and bool(coarse.any()) and parted <= 2 * size * 2**-7
