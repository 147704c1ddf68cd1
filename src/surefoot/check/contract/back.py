"""The clause on going back: a checkpoint in a running optimizer, with groups, and a parameter that waits."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.resume import AS_SAVED
from surefoot.check.contract.settings import everything
from surefoot.check.contract.tools import options, run, state, weight


@clause(
    "state",
    "a run can be saved, continued, and rolled back",
    why="When the loss explodes, the run is rolled back to its last checkpoint; each group and each "
    "parameter must get back its own values, and saving must change nothing.",
    mend="Leave state_dict and load_state_dict to torch, which replaces all of self.state and the groups; "
    "what is kept elsewhere cannot be rolled back.",
    mends={
        "the groups' options": AS_SAVED,
        "KeyError": "If load_state_dict() removes it from the dict passed in, copy that dict first: a "
        "checkpoint may be loaded more than once.",
        "state_dict() called": "state_dict() must change nothing: remove what is not to be saved from "
        "copies of its dicts.",
    },
    over="rich",
    cases=lambda signature: [{"other": {}}, *everything(signature)],
    refusal="in different parameter groups",
    needs=["repeatable", "groups"],
)
def goes_back(make: Make, other: dict[str, Any]) -> Claims:
    def begun() -> tuple[Any, list[Tensor]]:
        late, a, b = (weight(2, 2) for _ in range(3))
        opt = make([late, a])
        run(opt, [a], range(1))
        opt.add_param_group({"params": [b], **other})
        run(opt, [a, b], range(1, 3))
        return opt, [late, a, b]

    again = [weight(2, 2) for _ in range(3)]
    second = make([{"params": again[:2]}, {"params": again[2:], **other}])
    (first, usual), (opt, weights) = begun(), begun()
    run(first, usual, range(3, 5))
    start = [w.detach().clone() for w in weights]
    before = [options(opt), *(state(opt, w) for w in weights)]
    saved = copy.deepcopy(opt.state_dict())
    run(opt, weights, range(3, 5))
    on = [w.tolist() for w in weights]
    for w, v, s in zip(weights, again, start, strict=True):
        w.detach().copy_(s)
        v.detach().copy_(s)
    opt.load_state_dict(saved)
    after = [options(opt), *(state(opt, w) for w in weights)]
    second.load_state_dict(copy.deepcopy(saved))
    run(opt, weights, range(3, 5))
    run(second, again, range(3, 5))
    right, back, fresh = ([w.tolist() for w in ws] for ws in (usual, weights, again))
    if back == right:
        after = before  # it may keep what it likes, if only the run goes on
    straight = [weight(2, 2) for _ in range(3)]
    third = make([{"params": straight[:2]}, {"params": straight[2:], **other}])
    run(third, straight[1:2], range(1))
    run(third, straight[1:], range(1, 3))
    run(third, straight, range(3, 5))
    if [w.tolist() for w in straight] != right:
        fresh = right  # what is added is stepped otherwise than what was there, which add-group tells
    return [
        ("the parameters after 5 steps, with state_dict() called after 3", right, on, 1e-6),
        (
            "the groups' options and the state, saved after 3 steps and restored",
            before,
            after,
        ),
        ("the parameters after 5 steps, with a rollback to step 3 in between", right, back, 1e-6),
        ("the parameters after 5 steps, loaded into another optimizer after 3", right, fresh, 1e-6),
    ]
