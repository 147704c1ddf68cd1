"""Clauses on making an optimizer: what it takes, what it refuses, whether each option does something."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.settings import (
    MATRICES,
    VECTOR,
    alternatives,
    contexts,
    everything,
    hypers,
    invalid,
    of_groups,
)
from surefoot.check.contract.tools import gradient, lacks, run, state, weight

Shapes: TypeAlias = "list[list[int]]"  # of the weights that a probe steps


@clause(
    "construction",
    "is a torch.optim.Optimizer",
    why="Schedulers, scalers and training loops require it, and use its groups, its state and its hooks.",
    mend="Derive the class from torch.optim.Optimizer and call super().__init__(params, defaults).",
    quick=True,
)
def is_optimizer(make: Make) -> Claims:
    opt = make([weight(2, 2)])
    offered = ["param_groups", "state", "state_dict", "load_state_dict", "add_param_group", "zero_grad"]
    missing = [name for name in (*offered, "register_step_post_hook") if not hasattr(opt, name)]
    return [
        ("attributes of torch.optim.Optimizer that are missing", [], missing),
        ("isinstance(opt, torch.optim.Optimizer)", True, isinstance(opt, torch.optim.Optimizer)),
    ]


@clause(
    "construction",
    "steps without an exception, under every combination of options",
    why="A combination that fails only at step() is discovered late, by whoever trains with it.",
    mend="Raise ValueError in __init__ for options that cannot be combined; make step() work for all others.",
    over="combos",
    quick=True,
)
def steps(make: Make) -> Claims:
    w = weight(2, 2)
    opt = make([w])
    before = w.tolist()
    lost = None
    for t in range(9):
        run(opt, [w], [t])
        lost = lost or (None if w.isfinite().all() else t + 1)
    if w.tolist() == before and (when := _moves(make)):
        return f"no parameter moves in its first 9 steps; one does move {when}"
    return [
        ("w moves in 9 steps", True, w.tolist() != before),
        ("the first of 9 steps, of finite gradients, after which w is NaN or infinite", None, lost),
    ]


def _moves(make: Make) -> str:
    """Say when it moves what it leaves alone at first: some wait, or go by a direction, or by a size."""
    for when, size, turn, count in (
        ("when all gradients have one direction", 1.0, 0, 9),
        ("if it is small", 1e-4, 1, 9),
        ("later", 1.0, 1, 50),
    ):
        w = (weight(2, 2).detach() * size).requires_grad_()
        before, opt = w.tolist(), make([w])
        for t in range(count):
            w.grad = gradient(w, turn * t)
            opt.step()
        if w.tolist() != before:
            return when
    return ""


@clause(
    "construction",
    "accepts a list, a generator, groups, and named parameters",
    why="model.parameters() is a generator, model.named_parameters() gives pairs, fine-tuning passes groups.",
    mend="Pass `params` unchanged to super().__init__, and read self.param_groups afterwards.",
    mends={
        "is empty": "A group may be empty, such as the biases of a model without any: skip it with continue.",
    },
    cases=[
        {"kind": "a generator"},
        {"kind": "groups"},
        {"kind": "named parameters"},
        {"kind": "groups, one of which is empty", "groups": 2},
    ],
    strict=True,
    needs=["repeatable"],
)
def takes_parameters(make: Make, kind: str, groups: int = 1) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    usual = make([w])
    if kind != "a generator" and (why := lacks(usual, "param_groups", "add_param_group")):
        return why
    run(usual, [w], range(2))
    params: Any = {
        "a generator": (p for p in [twin]),
        "groups": [{"params": [twin]}],
        "named parameters": [("layer.weight", twin)],
        "groups, one of which is empty": [{"params": []}, {"params": [twin]}],
    }[kind]
    opt = make(params)
    run(opt, [twin], range(2))
    return [(f"the parameter after two steps, given as {kind}", w.tolist(), twin.tolist())]


@clause(
    "construction",
    "rejects invalid hyperparameters",
    why="A negative learning rate increases the loss; a typo should stop the run, not ruin it.",
    mend="In __init__, raise ValueError if the value is outside its valid range.",
    cases=invalid,
)
def refuses_values(make: Make, option: str, value: Any) -> Claims:
    refused = False
    try:
        make([weight(2, 2)], **{option: value})
    except Exception:
        refused = True
    return [(f"{option}={value} is rejected", True, refused)]


@clause(
    "construction",
    "rejects unknown options",
    why="If the constructor accepts any name, a misspelt option is silently ignored.",
    mend="Name every option in __init__, and take no **kwargs.",
)
def refuses_names(make: Make) -> Claims:
    refused = False
    try:
        make([weight(2, 2)], momentun=0.5)
    except Exception:
        refused = True
    return [("the misspelt option momentun=0.5 is rejected", True, refused)]


@clause(
    "options",
    "every option changes something in some combination",
    why="An option that is accepted but unused makes experiments misleading.",
    mend="Use the option in step(), or remove it from __init__.",
    cases=contexts,
    each="option",
    quick=True,
    needs=["repeatable", "visible"],
)
def option_effect(make: Make, option: str, value: Any, also: dict[str, Any], shapes: Shapes) -> Claims:
    a, b = [weight(*shape) for shape in shapes], [weight(*shape) for shape in shapes]
    without, with_it = make(a, **also), make(b, **{**also, option: value})
    run(without, a, range(10))
    run(with_it, b, range(10))
    ends = [(w.tolist(), state(without, w)) for w in a], [(w.tolist(), state(with_it, w)) for w in b]
    changed = ends[0] != ends[1]
    return [(f"{option}={value} changes the parameters or the state", True, changed)]


@clause(
    "options",
    "each group's own options are used",
    why="Layers are given their own learning rates and weight decays; using group 0's for all changes the "
    "run.",
    mend="In the loop over self.param_groups, read every option from `group`, never from self or group 0.",
    over="rich",
    cases=lambda signature: [{"option": o, "value": v} for o, v in of_groups(signature)],
    needs=["repeatable", "visible", "groups", "uncoupled"],
    refusal="in different parameter groups",
    quick=True,
)
def group_options(make: Make, option: str, value: Any) -> Claims:
    a, b, twin = weight(2, 3), weight(2, 2), weight(2, 2)
    opt = make([{"params": [a]}, {"params": [b], option: value}])
    run(opt, [a, b], range(3))
    run(make([twin], **{option: value}), [twin], range(3))
    what = f"a parameter whose group has {option}={value}, after 3 steps"
    return [(what, twin.tolist(), b.tolist(), 1e-6)]


@clause(
    "options",
    "two groups behave like two separate optimizers",
    why="A step size or buffer shared between groups is wrong for all but one of them.",
    mend="In the loop over groups, compute everything that depends on options; cache nothing across groups.",
    over="rich",
    cases=everything,
    needs=["repeatable", "groups", "uncoupled"],
    refusal="in different parameter groups",
)
def two_groups(make: Make, other: dict[str, Any]) -> Claims:
    a, b, c, d = weight(2, 2), weight(2, 3), weight(2, 2), weight(2, 3)
    opt = make([{"params": [a]}, {"params": [b], **other}])
    run(opt, [a, b], range(3))
    run(make([c]), [c], range(3))
    run(make([d], **other), [d], range(3))
    return [
        ("group 0 after 3 steps, beside a group with other options", c.tolist(), a.tolist(), 1e-6),
        ("group 1 after 3 steps", d.tolist(), b.tolist(), 1e-6),
    ]


# what schedulers, and their users, change during a run
SCHEDULED = ("lr", "momentum", "weight_decay", "dampening", "betas", "alpha", "maximize", "nesterov")


def _starts(state: dict[str, Any], value: Any) -> str | None:
    """What of a state begins with this value."""
    return next((name for name, held in state.items() if held == value), None)


@clause(
    "options",
    "an option changed during the run takes effect",
    why="Schedulers write into param_groups; a value captured at construction never sees the change.",
    mend="Read the option from `group` at every step, not from an attribute set in __init__.",
    over="rich",
    cases=lambda signature: [
        {"option": o, "value": v, "shapes": shapes, "whose": whose}
        for o, v in alternatives(signature, again=True)
        if hypers(signature)[o] in SCHEDULED
        for shapes, whose in ((MATRICES, ""), (VECTOR, " of a vector"))  # those of matrices may well change
    ],
    refuses=("ValueError",),
    quick=True,
    needs=["repeatable", "visible"],
)
def live_options(make: Make, option: str, value: Any, shapes: Shapes, whose: str) -> Claims:
    a, b, c = ([weight(*shape) for shape in shapes] for _ in range(3))
    steady, edited = make(a), make(b)
    run(steady, a, range(1))
    run(edited, b, range(1))
    if why := lacks(edited, "param_groups"):
        return why
    first = state(edited, b[0])
    if option not in edited.param_groups[0]:
        return f"its groups have no {option}"
    old = edited.param_groups[0][option]
    edited.param_groups[0][option] = value
    run(steady, a, range(1, 10))
    run(edited, b, range(1, 10))
    run(make(c, **{option: value}), c, range(10))
    if [w.tolist() for w in a] == [w.tolist() for w in c]:
        return f"{option} changes nothing here, not even when set from the start"  # for option-effect to tell
    changed = [w.tolist() for w in a] != [w.tolist() for w in b]
    lr = option in ("lr", "learning_rate", "step_size")
    if lr and not changed and (held := _starts(first, torch.full_like(b[0], old).tolist())):
        return {
            "differs": f"{option} is only the initial value of state[{held!r}], which then changes "
            "independently"
        }
    what = f"{option}={value}, written into the group after step 1, changes the next steps{whose}"
    return [(what, True, changed)]
