"""Clauses on state: where it lives, and that a run can be saved, and gone on with."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import buffer_dtypes, options, run, state, state_dtypes, weight

RESUME = "Keep every tensor of the run in self.state[p], and every number in self.state[p] or in the group."
MEND_CAST = (
    "Cast in step() where they are combined, as in m.to(torch.float32); or override load_state_dict to keep "
    "the dtype."
)
AS_SAVED = (
    "load_state_dict() and __setstate__ must restore what was saved, for each parameter and each group; "
    "fill in what a checkpoint lacks with setdefault."
)


@clause(
    "state",
    "a run saved and loaded midway continues unchanged",
    why="A resumed run that differs from an uninterrupted one is a different experiment.",
    mend=RESUME,
    mends={
        "the dtypes of": "In state_dict(), leave each tensor in its own dtype.",
        "the groups' options": AS_SAVED,
    },
    over="combos",
    quick=True,
    needs=["repeatable"],
)
def resume(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    whole, first = make([w]), make([twin])
    run(whole, [w], range(2))
    run(first, [twin], range(2))
    for opt in (whole, first):
        lr = opt.param_groups[0].get("lr")
        if isinstance(lr, float):
            opt.param_groups[0].update(initial_lr=lr, lr=lr / 2)  # as a scheduler does
    run(whole, [w], range(2, 4))
    fresh = twin.detach().clone().requires_grad_()
    second = make([fresh])
    saved = copy.deepcopy(first.state_dict())
    dtypes, given = buffer_dtypes(first.state), buffer_dtypes(saved.get("state"))
    before = [options(first), state(first, twin)]
    second.load_state_dict(saved)
    after = [options(second), state(second, fresh)]
    run(second, [fresh], range(2, 4))
    if w.tolist() == fresh.tolist():  # it may save and load as it likes, if only the run goes on
        given, after = dtypes, before
    if len(given) != len(dtypes):
        given = dtypes
    return [
        ("the dtypes of the state's buffers, and those in state_dict()", dtypes, given),
        ("the groups' options and the state, saved after 2 steps and loaded", before, after),
        ("w after 4 steps, saved and loaded after 2", w.tolist(), fresh.tolist()),
    ]


@clause(
    "state",
    "everything a run depends on is kept in self.state",
    why="state_dict(), load_state_dict(), .to(device) and sharding see only self.state and the groups.",
    mend=RESUME,
    mends={
        "keys of self.state": "Keep the state in self.state[p], not in self.state[id(p)].",
    },
    over="rich",
    needs=["repeatable"],
)
def state_in_state(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    run(make([w]), [w], range(4))
    first = make([twin])
    run(first, [twin], range(2))
    held = {k: v for k, v in {**vars(type(first)), **vars(first)}.items() if not k.startswith("__")}
    outside = [k for k, v in held.items() if "tensor(" in repr(v) and k not in ("state", "param_groups")]
    by_id = ["id(p)" for k in getattr(first, "state", {}) if isinstance(k, int) and k == id(twin)]
    fresh = twin.detach().clone().requires_grad_()
    second = make([fresh])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second, [fresh], range(2, 4))
    if w.tolist() == fresh.tolist():
        outside = by_id = []
    return [
        ("attributes of the optimizer or its class that hold tensors but are not saved", [], outside),
        ("keys of self.state that are different numbers after loading", [], by_id),
    ]


@clause(
    "state",
    "a checkpoint file can be read with weights_only",
    why="torch.load accepts only tensors and plain values by default, since a pickle can run code.",
    mend="Keep only tensors, numbers, strings, lists and dicts in the state; no custom objects.",
    mends=dict.fromkeys(("expected dtype", "same dtype"), MEND_CAST),
    over="singles",
    cases=[{"dtype": "float32"}, {"dtype": "bfloat16"}],  # beside which a state in float32 may be kept
    needs=["repeatable"],
)
def checkpoint_file(make: Make, dtype: str) -> Claims:
    if dtype != "float32" and (why := _unlike(make, dtype)):
        return why
    w, twin = (weight(2, 2, dtype=getattr(torch, dtype)) for _ in range(2))
    run(make([w]), [w], range(4))
    first = make([twin])
    run(first, [twin], range(2))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    fresh = twin.detach().clone().requires_grad_()
    second = make([fresh])
    second.load_state_dict(torch.load(file, weights_only=True))
    run(second, [fresh], range(2, 4))
    if dtype != "float32":
        kept, came = buffer_dtypes(first.state), buffer_dtypes(second.state)
        if kept == came or len(kept) != len(came) or w.tolist() == fresh.tolist():
            return f"no buffer changes its dtype when loaded for {dtype} parameters"
        cast = next(k for k, c in zip(kept, came, strict=True) if k != c)
        return {"differs": f"for {dtype} parameters, torch's load_state_dict rounds the {cast} buffers"}
    return [("w after 4 steps, saved to a file and loaded after 2", w.tolist(), fresh.tolist())]


def _unlike(make: Make, dtype: str) -> str:
    """Why runs in a dtype cannot be compared: what raises there, others tell, and rounding may be drawn."""
    ends = []
    for _ in range(2):
        w = weight(2, 2, dtype=getattr(torch, dtype))
        try:
            run(make([w]), [w], range(4))
        except Exception as error:
            return f"in {dtype} it raises {type(error).__name__}"
        ends.append(w.tolist())
    return "" if ends[0] == ends[1] else f"in {dtype} two runs give different results"


@clause(
    "state",
    "a loaded optimizer shares no memory with the one it was loaded from",
    why="Two runs loaded from one state_dict in the same process must not write into each other's buffers.",
    mend="In load_state_dict, copy the tensors: super().load_state_dict(copy.deepcopy(state_dict)).",
    over="rich",
)
def loaded_apart(make: Make) -> Claims:
    w, twin = weight(2, 2), weight(2, 2)
    first, second = make([w]), make([twin])
    run(first, [w], range(2))
    second.load_state_dict(first.state_dict())
    before = state(second, twin)
    run(first, [w], range(2, 4))
    after = state(second, twin)
    if before != after and first.state[w] is not second.state[twin]:
        return {
            "differs": "as in torch.optim, a loaded state shares its tensors with the state_dict; "
            "copy.deepcopy(state_dict) avoids that"
        }
    return [("the loaded optimizer's state, after steps of the other", before, after)]


@clause(
    "state",
    "state loaded for parameters of another dtype is cast to that dtype",
    why="A float32 checkpoint continued in bfloat16 or float64 must step as in that dtype.",
    mend="Leave load_state_dict to torch, which casts each state tensor to its parameter's dtype.",
    mends={
        "loaded for bfloat16": "Name the count 'step', which torch does not cast, or keep it as a number: "
        "bfloat16 counts only to 256.",
        **dict.fromkeys(("expected dtype", "same dtype"), MEND_CAST),
    },
    over="rich",
    cases=[{"dtype": "float64"}, {"dtype": "bfloat16"}],
)
def load_dtype(make: Make, dtype: str) -> Claims:
    if why := _unlike(make, dtype):
        return why
    kind = getattr(torch, dtype)
    w, other, fresh = weight(2, 2), weight(2, 2, dtype=kind), weight(2, 2, dtype=kind)
    first, second, third = make([w]), make([other]), make([fresh])
    run(first, [w], range(2))
    run(third, [fresh], range(3))
    second.load_state_dict(first.state_dict())
    run(second, [other], range(2, 3))
    fit, came = state_dtypes(third, fresh), state_dtypes(second, other)
    both = [k for k in fit if k in came]  # rounding may decide from which step on something is kept
    counts = [k for k in both if state(third, fresh)[k] in (3.0, [3.0]) and came[k] == "torch.bfloat16"]
    keys = counts if dtype == "bfloat16" else both  # of which none goes beyond 256
    fit, came = {k: fit[k] for k in keys}, {k: came[k] for k in keys}
    parts = [k for k in keys if fit[k] != came[k]]
    if dtype != "bfloat16" and parts and state_dtypes(*_by_torch(make, first)).items() >= came.items():
        return {"differs": f"torch.optim's own load_state_dict casts all but 'step': here {parts[0]!r} too"}
    return [(f"dtypes of the state, saved in float32 and loaded for {dtype}", fit, came)]


def _by_torch(make: Make, first: Any) -> tuple[Any, torch.Tensor]:
    """Load the same by torch.optim's own load_state_dict, whatever the class makes of it."""
    w = weight(2, 2, dtype=torch.float64)
    opt = make([w])
    with contextlib.suppress(Exception):  # it then has nothing to do with how torch loads
        torch.optim.Optimizer.load_state_dict(opt, first.state_dict())
        run(opt, [w], range(2, 3))
    return opt, w
