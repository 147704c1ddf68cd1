"""Clauses on gradients: step() must leave them as they were, and know what it is to have none."""

from __future__ import annotations

from typing import Any

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import gradient, run, shared_count, state, waited, weight
from surefoot.check.verdict import SHARED_COUNT


@clause(
    "gradients",
    "step() leaves p.grad as it was",
    why="Gradients are read after the step: by logging, by clipping, by a second optimizer, by accumulation.",
    mend="Decay, clip, centre and scale out of place: grad = grad.add(p, alpha=weight_decay), not "
    "grad.add_(...). Do not set p.grad = None; that is zero_grad()'s job.",
    over="combos",
    quick=True,
)
def grad_kept(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    for t, scale in enumerate((1, 1, 1024)):  # some clip what is large
        w.grad = g = gradient(w, t) * scale
        before, version = g.tolist(), g._version
        opt.step()
        if w.grad is not g or g.tolist() != before:
            break
    after = None if w.grad is None else w.grad.tolist()
    return [
        ("p.grad after step()", before, after),
        ("p.grad is the same tensor after step()", True, w.grad is g),
        ("p.grad._version after step(): it was written to", version, g._version),
    ]


@clause(
    "gradients",
    "state keeps no reference to p.grad",
    why="With zero_grad(set_to_none=False) the same tensor is refilled; a buffer that shares its memory "
    "changes too.",
    mend="Clone what you keep: state['momentum_buffer'] = grad.clone().",
    over="singles",
    quick=True,
    needs=["repeatable"],
)
def grad_not_aliased(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    run(make([twin]), [twin], range(3))
    opt = make([w])
    g = torch.zeros_like(w)
    for t in range(3):
        w.grad = g.copy_(gradient(w, t))
        opt.step()
        g.fill_(7.0)
    return [("w after 3 steps, with the gradient overwritten after each", twin.tolist(), w.tolist())]


@clause(
    "gradients",
    "a parameter without a gradient: no change and no state",
    why="A layer that the loss does not reach must not change: no weight decay, no momentum.",
    mend="In the loop: if p.grad is None: continue.",
    mends={"the state of": "In the loop, before creating any state: if p.grad is None: continue."},
    over="singles",
    quick=True,
)
def no_gradient(make: Make) -> Claims:
    w, idle = weight(2, 2), weight(2, 3)
    opt = make([w, idle])
    before, kept = idle.tolist(), state(opt, idle)
    run(opt, [w], range(2))
    return [
        ("the parameter without a gradient, after 2 steps", before, idle.tolist()),
        ("the state of the parameter without a gradient, after 2 steps", kept, state(opt, idle)),
    ]


@clause(
    "gradients",
    "a missing gradient pauses only its own parameter",
    why="With experts, branches and gradual unfreezing, a parameter gets gradients only at some steps.",
    mend="Skip the parameter when p.grad is None; keep its state in self.state[p].",
    mends={
        "the other parameter": "Step each parameter separately: skip one with continue, never with return "
        "or break, and keep its state in self.state[p].",
    },
    over="rich",
    cases=[{"groups": 1}, {"groups": 2}],
    needs=["repeatable", "uncoupled"],
)
def gradient_pauses(make: Make, groups: int) -> Claims:
    a, b, twin = weight(2, 2), weight(2, 2), weight(2, 2)
    run(make([twin]), [twin], range(4))
    opt = make([{"params": [a]}, {"params": [b]}] if groups == 2 else [a, b])
    run(opt, [a, b], range(1))
    before, kept = a.tolist(), state(opt, a)
    a.grad = None
    run(opt, [b], range(1, 2))
    after = state(opt, a)
    moved = a.tolist()
    run(opt, [a, b], range(2, 4))
    return [
        ("the parameter whose gradient is None at step 2, after that step", before, moved),
        ("the state of that parameter, after step 2", kept, after),
        ("the other parameter, after 4 steps", twin.tolist(), b.tolist(), 1e-6),
    ]


@clause(
    "gradients",
    "a parameter whose first gradient comes late starts with fresh state",
    why="A layer unfrozen later must not get another layer's buffer or first-step flag.",
    mend="Detect the first step per parameter, from its own state: if 'momentum_buffer' not in "
    "self.state[p].",
    over="combos",
    needs=["repeatable", "uncoupled"],
    quick=True,
)
def late_gradient(make: Make) -> Claims:
    a, b, twin = weight(2, 2), weight(2, 2), weight(2, 2)
    opt, alone = make([a, b]), make([twin])
    run(opt, [b], range(1))
    run(opt, [a, b], range(1, 3))
    run(alone, [twin], range(1, 3))
    if a.tolist() != twin.tolist() and _counted(make, a.tolist()):
        return {"differs": SHARED_COUNT}
    return [
        ("a parameter whose first gradient comes at step 2, after step 3", twin.tolist(), a.tolist(), 1e-6)
    ]


def _counted(make: Make, came: Any) -> bool:
    """Whether that is the steps it waited for: a count of steps goes on meanwhile, a flag does not."""
    alone, longer = (waited(make, (2, 2), n, range(1, 3)) for n in (1, 2))
    return came == alone != longer or shared_count(make, (2, 2), 1, range(1, 3), came)
