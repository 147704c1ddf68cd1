"""Clauses on closures: step(closure) calls it once, before all else, and hands its loss on."""

from __future__ import annotations

import torch
from torch import Tensor

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import gradient, run, weight

GROUPS = [{"groups": 1}, {"groups": 2}]  # what stands inside the loop over groups is done for each of them


@clause(
    "closure",
    "step(closure) calls the closure once, with gradients enabled",
    why="The closure recomputes the loss and its gradients; under no_grad it cannot compute gradients.",
    mend="with torch.enable_grad(): loss = closure()   # once, before the update",
    mends={
        "inference mode": "Decorate step() with @torch.no_grad(): enable_grad() does not end "
        "torch.inference_mode().",
    },
    quick=True,
    needs=["a closure"],
)
def closure_called(make: Make) -> Claims:
    w = weight(2, 2)
    w.grad = gradient(w, 1)  # of a backward before, which SAM's first move goes by
    opt = make([w])
    calls, inferring = [], []

    def closure() -> Tensor:
        inferring.append(torch.is_inference_mode_enabled())
        calls.append(torch.is_grad_enabled())
        w.grad = gradient(w, 0)
        return torch.tensor(2.5)

    opt.step(closure)
    return [
        ("the closure is called", True, bool(calls)),
        ("gradients are enabled inside the closure", True, all(calls)),
        ("inference mode is off inside the closure", True, not any(inferring)),
    ]


@clause(
    "closure",
    "step(closure) evaluates the closure only once",
    why="A closure costs a forward and a backward pass, and draws the random numbers of dropout.",
    mend="Call closure() in one place only, before the loop over groups.",
    cases=GROUPS,
    needs=["a closure", "optional closure"],
)
def closure_once(make: Make, groups: int) -> Claims:
    w, v = weight(2, 2), weight(2, 2)
    opt = make([{"params": [w]}, {"params": [v]}] if groups == 2 else [w, v])
    calls = [0] * 12

    for t in range(12):

        def closure(t: int = t) -> Tensor:
            calls[t] += 1
            w.grad, v.grad = gradient(w, t), gradient(v, t)
            return torch.tensor(2.5 if t < 6 else 250.0)  # some evaluate it again where it is large

        opt.step(closure)
    return [("the closure is called no more than once in each of 12 steps", True, max(calls) <= 1)]


@clause(
    "closure",
    "step(closure) returns the loss",
    why="Training loops and schedulers read the loss that step() returns.",
    mend="Start with loss = None, set it from the closure, and end with `return loss`.",
    cases=GROUPS,
    quick=True,
    needs=["a closure"],
)
def closure_loss(make: Make, groups: int) -> Claims:
    w, v = weight(2, 2), weight(2, 2)
    w.grad, v.grad = gradient(w, 1), gradient(v, 1)  # of a backward before, which SAM's first move goes by
    opt = make([{"params": [w]}, {"params": [v]}] if groups == 2 else [w, v])

    def closure() -> Tensor:
        w.grad, v.grad = gradient(w, 0), gradient(v, 0)
        return torch.tensor(2.5)

    loss = opt.step(closure)
    returned = None if loss is None else float(loss)
    return [("what step(closure) returns", 2.5, returned)]


@clause(
    "closure",
    "the step uses the gradients that the closure computed, and does not change them",
    why="Gradients read before the closure is called belong to the previous batch; those it computes are "
    "read by other code after the step.",
    mend="Call the closure first, then read p.grad.",
    mends={
        "is there": "Do not clear the gradients in step(); the training loop calls zero_grad() where it "
        "needs to.",
    },
    cases=GROUPS,
    needs=["a closure", "repeatable", "optional closure"],
)
def closure_first(make: Make, groups: int) -> Claims:
    w, v, twin, beside = (weight(2, 2) for _ in range(4))
    usual = make([{"params": [twin]}, {"params": [beside]}] if groups == 2 else [twin, beside])
    run(usual, [twin, beside], range(1))
    opt = make([{"params": [w]}, {"params": [v]}] if groups == 2 else [w, v])
    w.grad, v.grad = gradient(w, 1), gradient(v, 1)  # of the batch before

    def closure() -> Tensor:
        w.grad, v.grad = gradient(w, 0), gradient(v, 0)
        return torch.tensor(2.5)

    opt.step(closure)
    usually = twin.grad is not None and bool(twin.grad.any())
    left = w.grad is not None and bool(w.grad.any())
    return [
        ("the parameter after step(closure)", twin.tolist(), w.tolist(), 1e-6),
        ("p.grad is there, and not zero, after step(closure) as after step()", usually, left),
    ]
