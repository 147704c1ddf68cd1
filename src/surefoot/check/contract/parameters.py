"""Clauses on parameters: changed in place, visibly, and nothing else with them."""

from __future__ import annotations

import random
from typing import Any

import numpy
import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import run, weight


@clause(
    "parameters",
    "parameters change in place",
    why="Tied weights, flattened models and shared memory hold views of the storage; a new tensor leaves "
    "them stale.",
    mend="Update with in-place operations, as in p.add_(update, alpha=-lr); never assign p.data = ...",
    over="singles",
    quick=True,
)
def in_place(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    view = w.detach().view(-1)
    run(opt, [w], range(2))
    return [("a view of w, taken before the first step", w.flatten().tolist(), view.tolist())]


@clause(
    "parameters",
    "autograd can see that the parameters changed",
    why="Without the version counter, backward through stale activations is silently wrong instead of an "
    "error.",
    mend="Decorate step() with @torch.no_grad() and update p itself; do not go through p.data.",
)
def version_moves(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    version = w._version
    run(opt, [w], range(9))
    return [("w._version moves at step()", True, w._version > version)]


@clause(
    "parameters",
    "parameters stay leaves that require gradients",
    why="A parameter with a grad_fn keeps the graph of every earlier step, and cannot be optimized further.",
    mend="Decorate step() with @torch.no_grad().",
    over="singles",
)
def stays_leaf(make: Make) -> Claims:
    w = weight(2, 2)
    run(make([w]), [w], range(2))
    return [
        ("w.is_leaf", True, w.is_leaf),
        ("w.requires_grad", True, w.requires_grad),
        ("w.grad_fn", "None", str(w.grad_fn)),
    ]


@clause(
    "parameters",
    "frozen parameters do not change until they are unfrozen",
    why="Fine-tuning passes all of model.parameters(), some with requires_grad=False.",
    mend="Begin the loop with: if p.grad is None: continue, before weight decay and everything else.",
    mends={
        "unfrozen": "Test at each step whether p.grad is None; p.requires_grad may change after __init__.",
        "Error: ": "Create a parameter's state when it is first stepped: one that is frozen at first may be "
        "trained later. And if p.grad is None: continue.",
    },
    over="singles",
)
def frozen(make: Make) -> Claims:
    w, still = weight(2, 2), weight(2, 3).requires_grad_(False)
    before = still.tolist()
    opt = make([still, w])
    run(opt, [w], range(2))
    rested = still.tolist()
    still.requires_grad_()
    run(opt, [still, w], range(2, 11))
    return [
        ("the frozen parameter after 2 steps", before, rested),
        ("the parameter moves in 9 steps after it is unfrozen", True, still.tolist() != rested),
    ]


@clause(
    "parameters",
    "step() changes nothing else",
    why="A step that writes into the groups or turns autograd off changes how later code behaves.",
    mend="Keep changing values in self.state[p]; use torch.no_grad() as a decorator or in a with block.",
    mends={
        "get_num_threads": "Leave torch.set_num_threads() to the program: it affects everything in the "
        "process.",
        "draw the same": "Do not set a seed in step(): it repeats every dropout mask and shuffle. Draw from "
        "a separate torch.Generator.",
    },
    over="singles",
    cases=lambda signature: [{"options": list(signature.options)}],
)
def nothing_else(make: Make, options: list[str]) -> Claims:
    w, bystander = weight(2, 2), weight(2, 2)
    before = bystander.tolist()
    opt = make([w])
    group: dict[str, Any] = getattr(opt, "param_groups", [{}])[0]
    own = {k: str(v) for k, v in group.items() if k in options and v is not None}  # None: to be decided
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_num_threads(2)
    drawn = []
    for t in range(3):
        run(opt, [w], [t])
        drawn.append([torch.rand(1).item(), random.random(), numpy.random.random()])
    used = torch.get_num_threads()
    torch.set_num_threads(threads)
    return [
        ("the group's options after 3 steps", own, {k: str(v) for k, v in group.items() if k in own}),
        ("torch.is_grad_enabled() after step()", True, torch.is_grad_enabled()),
        ("torch.get_default_dtype() after step()", str(dtype), str(torch.get_default_dtype())),
        ("a tensor that was never passed to the optimizer", before, bystander.tolist()),
        ("torch.get_num_threads() after step(), of 2", 2, used),
        (
            "whether torch, random and numpy draw the same number after each of 3 steps",
            [False] * 3,
            [a == b == c for a, b, c in zip(*drawn, strict=True)],
        ),
    ]


@clause(
    "parameters",
    "a parameter's updates do not depend on the other parameters",
    why="If every parameter advances one step counter, the update depends on the number of parameters.",
    mend="Count once per step(), or in each parameter's own state; keep every buffer there, too.",
    over="rich",
    cases=[{"shape": (2, 2)}, {"shape": (2, 1, 2, 2)}],  # buffers of kernels alone may be found by shape
    needs=["repeatable", "uncoupled"],
)
def company(make: Make, shape: tuple[int, ...]) -> Claims:
    w, other, twin, alone = weight(*shape), weight(2, 3), weight(*shape), weight(*shape)
    if len(shape) > 2 and not _steps(make, alone):
        return f"a parameter of shape {shape} is not stepped"  # that is for shapes to tell
    run(make([w, other, twin]), [w, other, twin], range(3))
    run(make([alone]), [alone], range(3))
    return [("a parameter stepped together with others, after 3 steps", alone.tolist(), w.tolist(), 1e-6)]


def _steps(make: Make, like: torch.Tensor) -> bool:
    w = weight(*like.shape)
    try:
        run(make([w]), [w], range(3))
    except Exception:
        return False
    return True


@clause(
    "parameters",
    "the order of the parameters does not matter",
    why="A model's parameters come in the order in which they were defined, which must not matter.",
    mend="Keep each parameter's state in self.state[p], not in a list by position.",
    over="rich",
    needs=["repeatable", "uncoupled"],
)
def order(make: Make) -> Claims:
    a, b, c, d = weight(2, 2), weight(2, 3), weight(2, 2), weight(2, 3)
    run(make([a, b]), [a, b], range(3))
    run(make([d, c]), [c, d], range(3))
    return [
        ("the parameter that moved from first to last, after 3 steps", a.tolist(), c.tolist(), 1e-6),
        ("the parameter that moved from last to first", b.tolist(), d.tolist(), 1e-6),
    ]


@clause(
    "parameters",
    "all elements of a parameter are stepped alike, whatever their position",
    why="An update that depends on an element's position, or on the number of elements, points to a kernel "
    "bug.",
    mend="Apply the same operations to every element; leave vectorization to torch.",
    over="rich",
    needs=["repeatable", "uncoupled", "elementwise"],
)
def split(make: Make) -> Claims:
    whole = weight(37, 1)
    bounds = ((0, 5), (5, 22), (22, 37))
    parts = [whole[i:j].detach().clone().requires_grad_() for i, j in bounds]
    opt, apart = make([whole]), make(parts)
    for t in range(3):
        whole.grad = torch.linspace(-1, 1, 37).reshape(37, 1) * (0.5 - t)
        for p, (i, j) in zip(parts, bounds, strict=True):
            p.grad = whole.grad[i:j].clone()
        opt.step()
        apart.step()
    return [
        (
            "37 elements in one tensor, against the same elements in three tensors",
            torch.cat(parts).tolist(),
            whole.tolist(),
            1e-6,
        )
    ]
