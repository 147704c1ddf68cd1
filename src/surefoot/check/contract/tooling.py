"""Clauses on living with the rest of torch: schedulers, hooks, torch.compile."""

from __future__ import annotations

import contextlib
import gc
import sys
import warnings
from typing import Any

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import NEEDS, gradient, is_one, run, state, weight

SCHEDULES = (
    "StepLR(opt, 2, 0.5)",
    "MultiStepLR(opt, [1, 3], 0.5)",
    "ConstantLR(opt, 0.5, 2)",
    "LinearLR(opt, 0.5, 1.0, 3)",
    "ExponentialLR(opt, 0.5)",
    "LambdaLR(opt, lambda t: 0.5 ** t)",
    "MultiplicativeLR(opt, lambda t: 0.5)",
    "PolynomialLR(opt, 5)",
    "CosineAnnealingLR(opt, 5)",
    "CosineAnnealingWarmRestarts(opt, 2)",
    "SequentialLR(opt, [ConstantLR(opt, 0.5, 1), ExponentialLR(opt, 0.5)], [2])",
    "ChainedScheduler([ConstantLR(opt, 0.5, 1), ExponentialLR(opt, 0.5)])",
    "ReduceLROnPlateau(opt, patience=0)",
    "CyclicLR(opt, 0.125, 0.5, 2, cycle_momentum='momentum' in opt.defaults or 'betas' in opt.defaults)",
    "OneCycleLR(opt, 0.5, 6, cycle_momentum='momentum' in opt.defaults or 'betas' in opt.defaults)",
)


@clause(
    "tooling",
    "every torch scheduler can set its learning rate",
    why="If the optimizer breaks, ignores or overwrites a schedule, the run is not the one you planned.",
    mend="Keep lr (and momentum or betas) in the groups under these names; never write to them in step().",
    cases=[{"schedule": s} for s in SCHEDULES],
    needs=["an lr", "repeatable"],
)
def schedulers(make: Make, schedule: str) -> Claims:
    w, v, twin = weight(2, 2), weight(2, 2), weight(2, 2)
    opt, plain, other = make([w]), torch.optim.SGD([v], lr=0.25), make([twin])
    lrs: dict[Any, list[float]] = {opt: [], plain: []}
    taken = []
    for o, p in ((opt, w), (plain, v)):
        o.param_groups[0]["lr"] = 0.25
        scheduler = eval(schedule, vars(torch.optim.lr_scheduler), {"opt": o})
        for t in range(5):
            if o is opt:
                taken.append({k: v for k, v in o.param_groups[0].items() if k in ("lr", "momentum", "betas")})
            run(o, [p], [t])
            scheduler.step(*([1.0] if "Plateau" in schedule else []))
            lrs[o].append(round(float(o.param_groups[0]["lr"]), 12))
    for t, options in enumerate(taken):
        other.param_groups[0].update(options)
        run(other, [twin], [t])
    return [
        (f"the learning rates of 5 steps under {schedule}", lrs[plain], lrs[opt]),
        (
            f"w after 5 steps under {schedule}, against the same lr set by hand",
            twin.tolist(),
            w.tolist(),
            1e-6,
        ),
    ]


@clause(
    "tooling",
    "a tensor lr is read at each step, and never modified",
    why="Compiled steps take lr as a tensor; anything that shares it changes when a scheduler writes into "
    "it.",
    mend="Read group['lr'] at every step; never change it in place (lr *= 0.5 does, on a tensor), and clone "
    "it if you keep it.",
    over="singles",
    cases=[{"groups": 1}, {"groups": 2}],
    needs=["repeatable", "an lr"],
    refuses=("Exception",),
)
def tensor_lr(make: Make, groups: int) -> Claims:
    w, twin, u, v = weight(2, 2), weight(2, 2), weight(2, 2), weight(2, 2)
    opt = make(
        [{"params": [u], "lr": torch.tensor(0.125)}, {"params": [w]}] if groups == 2 else [w],
        lr=torch.tensor(0.25),
    )
    usual = make([{"params": [v], "lr": 0.125}, {"params": [twin]}] if groups == 2 else [twin], lr=0.25)
    lrs: dict[Any, list[float]] = {opt: [], usual: []}
    for o, p in ((opt, w), (usual, twin)):
        scheduler = torch.optim.lr_scheduler.LambdaLR(o, lambda t: 0.5**t)
        for t in range(4):
            run(o, [p], [t])
            lrs[o].append(float(o.param_groups[-1]["lr"]))
            scheduler.step()
    starts = [float(o.param_groups[-1]["initial_lr"]) for o in (usual, opt)]  # some divide it beforehand
    return [
        (
            "group['lr'] after each of 4 steps under LambdaLR, a tensor lr against a number",
            lrs[usual],
            lrs[opt],
            1e-6,
        ),
        ("group['initial_lr'] after these steps: what the schedule starts from", starts[0], starts[1], 1e-6),
        ("w after these steps, a tensor lr against a number", twin.tolist(), w.tolist(), 1e-5),
    ]


@clause(
    "tooling",
    "step hooks fire once per step",
    why="Profilers, weight averaging and gradient clipping use the optimizer's hooks.",
    mend="Call super().__init__(), and override step() in the class, not on the object.",
    needs=["a step that returns"],
)
def hooks(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    for base in type(opt).__mro__[1:-1]:  # torch hooks the step of a class when the first of it is made
        with contextlib.suppress(Exception):
            base([weight(2, 2)])
    fired = []
    opt.register_step_pre_hook(lambda *_: fired.append("before"))
    opt.register_step_post_hook(lambda *_: fired.append("after"))
    run(opt, [w], range(2))
    once = ["before", "after"]
    levels = fired.count("before") // 2
    own = levels - sum("stands_in" in vars(c) for c in type(opt).__mro__)
    if levels and fired == (["before"] * levels + ["after"] * levels) * 2 and own <= 2:
        if own == 2:
            return {"differs": "they fire twice, since step() calls another step() that fires them too"}
        fired = once * 2
    return [("the hooks that fired in 2 steps", once * 2, fired)]


@clause(
    "tooling",
    "zero_grad() clears the gradients of all groups, and nothing else",
    why="Gradients that are not cleared accumulate: each step then includes all earlier batches.",
    mend="Do not override zero_grad of torch.optim.Optimizer.",
    mends={"the state": "zero_grad() must clear only p.grad; momentum is not a gradient."},
    over="rich",
    cases=[{"kept": kept, "groups": n} for n in (1, 2) for kept in ({}, {"set_to_none": False})],
)
def zero_grad(make: Make, kept: dict[str, bool], groups: int = 1) -> Claims:
    w, v = weight(2, 2), weight(2, 2)
    opt = make([{"params": [v]}, {"params": [w]}] if groups == 2 else [w])
    if kept and not is_one(opt):
        return f"{NEEDS}: other classes may define zero_grad() differently"
    run(opt, [w, v], range(2))
    w.grad, before = gradient(w, 2), state(opt, w)
    opt.zero_grad(**kept)
    return [
        ("p.grad is None or zero after zero_grad()", True, w.grad is None or not w.grad.any()),
        (
            "p.grad is still a tensor, after zero_grad(set_to_none=False)",
            True,
            not kept or w.grad is not None,
        ),
        ("the state after zero_grad()", before, state(opt, w)),
    ]


@clause(
    "tooling",
    "makes no deprecated calls and emits no warnings",
    why="A call that warns today may raise in a later release.",
    mend="Follow the warning: for example, add_(d, alpha=1 - dampening) replaces add_(1 - dampening, d).",
    over="singles",
    quick=True,
)
def no_warnings(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])  # which may warn of its own options
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for t in range(3):
            with contextlib.suppress(Exception):  # whether a step raises is another matter
                run(opt, [w], [t])
    torch.set_warn_always(False)
    said = [" ".join(str(c.message).split("(Triggered")[0].split()) for c in caught]
    return [("warnings of 3 steps", [], said)]


@clause(
    "tooling",
    "can be deleted without an exception",
    why="An exception in __del__ cannot be caught; it is printed later, at an unrelated place.",
    mend="Remove __del__; clean up in a method that is called explicitly.",
)
def goes_quietly(make: Make) -> Claims:
    raised: list[str] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda u: raised.append(repr(u.exc_value))
    w = weight(2, 2)
    opt = make([w])
    run(opt, [w], range(1))
    del opt
    gc.collect()
    sys.unraisablehook = hook
    return [("exceptions while the optimizer was being deleted", [], raised)]


@clause(
    "tooling",
    "step() gives the same result under torch.compile",
    why="A training step compiled as a whole includes the optimizer.",
    mend="In step(), branch on the group's Python numbers, not on tensor values; do not call .item().",
    over="rich",
    deep=True,
    needs=["repeatable"],
)
def compiles(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    opt, eager = make([w]), make([twin])
    step: Any = torch.compile(opt.step, backend="aot_eager")
    for t in range(3):
        w.grad, twin.grad = (torch.full_like(w, 0.5 - t) for _ in range(2))
        step()
        eager.step()
    return [("w after 3 compiled steps", twin.tolist(), w.tolist(), 1e-6)]
