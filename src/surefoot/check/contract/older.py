"""The clause on checkpoints from before an option was added."""

from __future__ import annotations

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import run, weight

# what torch gave its optimizers after their first releases, and libraries after it, in that order
LATER = (
    "amsgrad",
    "nesterov",
    "maximize",
    "foreach",
    "capturable",
    "differentiable",
    "fused",
    "decoupled_weight_decay",
)


@clause(
    "state",
    "a checkpoint from before an option was added can be loaded",
    why="An older file lacks options added later: the first step after loading raises or is wrong.",
    mend="In __setstate__, give each group every option added later: group.setdefault('maximize', False).",
    over="rich",
    # what a constructor fixes was never an option that a checkpoint could lack
    cases=lambda signature: [{"option": o} for o in LATER if signature.swallows or o in signature.options],
    refuses=("ValueError", "RuntimeError", "NotImplementedError"),
    needs=["repeatable"],
)
def older_checkpoint(make: Make, option: str) -> Claims:
    if why := _owes_nothing(make, option):
        return why
    w, twin = weight(2, 2), weight(2, 2)
    run(make([w]), [w], range(4))
    first, second = make([twin]), make([twin])
    run(first, [twin], range(2))
    saved = first.state_dict()
    del saved["param_groups"][0][option]
    second.load_state_dict(saved)
    run(second, [twin], range(2, 4))
    return [
        (f"w after 4 steps, loaded after 2 from a checkpoint without {option}", w.tolist(), twin.tolist())
    ]


def _owes_nothing(make: Make, option: str) -> str:
    """Say why an option need not be filled in: only who fills in an earlier one has older checkpoints."""
    w = weight(2, 2)
    opt, loaded = make([w]), make([w])
    saved = opt.state_dict()
    if "param_groups" not in saved:
        return "its state_dict has no param_groups in which an option could be missing"
    group = saved["param_groups"][0]
    if option not in group:
        return "it has none of the options that this tests"
    for later in LATER:
        group.pop(later, None)
    loaded.load_state_dict(saved)
    earlier = LATER[: LATER.index(option) + 1]
    if not any(o in loaded.param_groups[0] for o in earlier):
        return "it fills in no missing option, so it may never have had older checkpoints"
    return ""
