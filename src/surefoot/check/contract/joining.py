"""The clause on groups that join a run: what they find there, and whose options count."""

from __future__ import annotations

from typing import Any

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.settings import everything
from surefoot.check.contract.tools import run, shared_count, waited, weight
from surefoot.check.verdict import SHARED_COUNT


@clause(
    "state",
    "a group can be added during the run",
    why="Unfreezing a layer during the run adds its group after the first steps.",
    mend="Create state when a parameter is first stepped, not in __init__ and not only at step 1.",
    mends={
        "options of its own": "Read every option from the group itself; what __init__ stores about groups "
        "does not cover later ones.",
    },
    over="rich",
    cases=lambda signature: [
        {"other": {}, "later": {}},
        *({**case, "later": {}} for case in everything(signature)),
        *({"other": {}, "later": case["other"]} for case in everything(signature)),
    ],
    refusal="in different parameter groups",
    needs=["repeatable", "groups", "uncoupled"],
)
def add_group(make: Make, other: dict[str, Any], later: dict[str, Any]) -> Claims:
    a, b, twin = weight(2, 2), weight(2, 3), weight(2, 3)
    if other and (why := _unheeded(make, other)):
        return why
    opt = make([a])
    run(opt, [a], range(2))
    make([weight(2, 2)], **later)  # another optimizer, whose options are its own
    opt.add_param_group({"params": [b], **other})
    run(opt, [a, b], range(2, 4))
    run(make([twin], **other), [twin], range(2, 4))
    if b.tolist() != twin.tolist() and _counted(lambda params: make(params, **other), b.tolist()):
        return {"differs": SHARED_COUNT}
    whose = ", whose group has options of its own," if other else ""
    return [(f"the added parameter{whose} after its 2 steps", twin.tolist(), b.tolist(), 1e-4)]


def _unheeded(make: Make, other: dict[str, Any]) -> str:
    """Why a group's own options may not count: those that are not there from the start, two-groups tells."""
    a, b, twin = weight(2, 2), weight(2, 3), weight(2, 3)
    run(make([{"params": [a]}, {"params": [b], **other}]), [a, b], range(2))
    run(make([twin], **other), [twin], range(2))
    near = torch.isclose(b, twin, rtol=1e-4, atol=1e-4).all()
    return "" if near else "a group's own options are not used from the start, either"


def _counted(make: Make, came: Any) -> bool:
    """Whether the count of steps that the added parameter begins at makes the difference."""
    alone = waited(make, (2, 3), 2, range(2, 4))
    return came == alone or shared_count(make, (2, 3), 2, range(2, 4), came, group=True)
