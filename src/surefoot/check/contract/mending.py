"""How a failed clause is mended, where what came says more than the clause's own advice can."""

from __future__ import annotations

import re

from surefoot.check.contract.clause import CLAUSES
from surefoot.check.contract.tools import OF_AN_OPTIMIZER

__all__ = [
    "MEND_CLOSURE",
    "MEND_UNMADE",
    "MEND_UNREADY",
    "NEVER",
    "NOT_MADE",
    "UNMADE",
    "instead",
    "of_constructor",
    "of_failure",
    "of_step",
]

MEND_CLOSURE = "Call it only if it is there: if closure is not None: loss = closure()."
UNMADE = "Of an optimizer that cannot be constructed nothing else can be asked."
NOT_MADE = "It cannot be constructed."
MEND_UNMADE = "The traceback of the lines below ends in __init__ where it raises."
MEND_UNREADY = (
    "Begin __init__ with super().__init__(params, dict(lr=lr)), with every option in the dict; it makes "
    "self.param_groups and self.state."
)
LOST = (
    "self.{} is lost: torch's Optimizer.__getstate__ keeps defaults, state and param_groups alone. Keep "
    "options in the group, and what changes in self.state[p]; or define __getstate__."
)
BY_PLACE = (
    "Groups of equal options are mixed up, too, so it is not the options: keep what belongs to a parameter "
    "under the parameter itself, self.state[p], not in a list by its position."
)
AS_SAVED = (
    "Let load_state_dict() and __setstate__ put back what was saved, parameter by parameter and group by "
    "group; what a checkpoint lacks is filled in by setdefault."
)
NO_GRAD = "Decorate step() with @torch.no_grad()."
OUT_OF_PLACE = (
    "Update p in place, by p.sub_(lr * d) or p -= lr * d: `p = p - lr * d` makes a new tensor, and leaves p "
    "as it is."
)
NEVER = "An optimizer whose plain step does not work trains nothing."
# clause, what its claim says, and how that is mended
OF_CLAIMS = (
    (
        "no-gradient",
        "the state of",
        "In the loop, before any state is made: if p.grad is None: continue.",
    ),
    (
        "resume",
        "the dtypes of",
        "In state_dict(), leave each tensor in the dtype in which it is kept.",
    ),
    (
        "resume",
        "the groups' options",
        AS_SAVED,
    ),
    (
        "state-in-state",
        "keys of self.state",
        "Keep the state under the parameter, self.state[p], and not self.state[id(p)].",
    ),
    (
        "goes-back",
        "the groups' options",
        AS_SAVED,
    ),
    (
        "goes-back",
        "KeyError",
        "If load_state_dict() takes it out of the dict that it is given, let it copy that first: a "
        "checkpoint is loaded more than once.",
    ),
    (
        "goes-back",
        "state_dict() being called",
        "Let state_dict() change nothing: what is not to be saved is taken out of copies of its dicts.",
    ),
    (
        "load-dtype",
        "loaded for bfloat16",
        "Call the count 'step', which torch does not cast, or keep a number: bfloat16 counts to 256.",
    ),
    (
        "closure-called",
        "inference mode",
        "Decorate step() with @torch.no_grad(): enable_grad() does not end torch.inference_mode().",
    ),
    (
        "closure-first",
        "is there",
        "Leave the gradients to the training loop, which calls zero_grad() where it wants them gone.",
    ),
    (
        "gradient-pauses",
        "the other parameter",
        "Step each parameter for itself: skip one by continue, never by return or break, and keep its state "
        "under self.state[p].",
    ),
    *(
        ("takes-parameters", words, "A model without biases has a group of none: pass over it by continue.")
        for words in ("is empty", "IndexError", ".empty()", "non-empty")
    ),
    (
        "frozen",
        "unfrozen",
        "Ask at each step whether p.grad is None; what p.requires_grad was in __init__ may change.",
    ),
    (
        "frozen",
        "Error: ",
        "Make the state of a parameter when it is first stepped: one that is frozen at first may be trained "
        "later. And if p.grad is None: continue.",
    ),
    (
        "nothing-else",
        "get_num_threads",
        "Leave torch.set_num_threads() to the program: it is for all that runs in the process.",
    ),
    (
        "nothing-else",
        "draw the same",
        "Set no seed in step(), which repeats every dropout mask and shuffle; draw from a torch.Generator "
        "of its own.",
    ),
    (
        "zero-grad",
        "the state",
        "Let zero_grad() clear p.grad alone; momentum is not a gradient.",
    ),
    (
        "deep-copies",
        "whose copy",
        "Let __deepcopy__ copy the state's tensors too, or leave it out.",
    ),
    (
        "every-dtype",
        "p.grad",
        "Leave p.grad as it is: .double() and .to(dtype) give p.grad itself where it has that dtype, so work "
        "out of place.",
    ),
    (
        "dtype-state",
        "the count",
        "Count by a number, or by torch.tensor(0.0) in float32: bfloat16 counts to 256, and stays there.",
    ),
    (
        "add-group",
        "options of its own",
        "Read every option from the group itself; what is noted of groups in __init__ lacks later ones.",
    ),
    (
        "sparse",
        "twice",
        "Begin with grad = p.grad.coalesce(): it sums the rows that a sparse gradient has twice.",
    ),
    (
        "distributed-checkpoint",
        "have the key 'lr'",
        "Keep the learning rate under the key 'lr' in the groups, whatever the constructor calls it.",
    ),
    (
        "distributed-checkpoint",
        "makes state",
        "Skip no step because lr or its gradients are 0: state is made in the first one, whatever it is.",
    ),
)
# what is asked of the list of parameters by a constructor that takes something else
WANTED = re.compile(r"'list' object has no attribute '(\w+)'")


def instead(name: str, said: str) -> str:
    """Say what a constructor that raised this takes instead of parameters, and what to examine then."""
    if "named_parameters" in said:
        pairs = '[(f"p{i}", p) for i, p in enumerate(params)]'
        return (
            f"{name} takes named parameters: {said}. Write a function that makes it of parameters, such as "
            f"def make(params): return {name}({pairs}), and name that function instead."
        )
    wanted = WANTED.search(said)
    if not wanted:
        return ""
    what, made = "a model", f"{name}(types.SimpleNamespace(parameters=lambda: params))"
    if wanted[1] in OF_AN_OPTIMIZER:
        what, made = "an optimizer", f"{name}(torch.optim.SGD(params))"
    return (
        f"{name} takes {what} and no parameters: it asks for .{wanted[1]}. Write a function that makes it of "
        f"parameters, such as def make(params): return {made}, and name that function instead."
    )


def of_constructor(said: str) -> str:
    """Say how the constructor of torch's Optimizer is called, if that is what raised.

    Example:
        >>> of_constructor("Optimizer.__init__() got an unexpected keyword argument 'lr'")
        "torch's Optimizer.__init__ takes (params, defaults): super().__init__(params, dict(lr=lr))."
    """
    if "Optimizer.__init__() " in said or "'float' object has no attribute 'items'" in said:
        return "torch's Optimizer.__init__ takes (params, defaults): super().__init__(params, dict(lr=lr))."
    return ""


def of_step(what: str, where: str, plain: bool) -> str:
    """Say how a step is mended that raises, or moves nothing; "" if some options do not go together.

    Args:
        what: the exception that was raised, or what the claim was about.
        where: the line that raised, if it is the author's.
        plain: whether it takes no option beside those that were given.

    Example:
        >>> of_step("NameError: name 'lr' is not defined", "line 12: p.sub_(lr * g)", True)
        'step() raises by itself: mend line 12: p.sub_(lr * g)'
    """
    if "a leaf Variable that requires grad" in what:
        return NO_GRAD
    if what.startswith("w moves"):
        return OUT_OF_PLACE
    return f"step() raises by itself: mend {where}" if plain and where else ""


def of_failure(id: str, what: str, mixed_up: bool) -> str:
    """Say how to mend it, or nothing where the clause says it best.

    Args:
        id: the clause that failed.
        what: what its claim was about, or the exception that was raised.
        mixed_up: whether two groups of equal options are no two optimizers, either.
    """
    lost = re.search(r"AttributeError: .* object has no attribute '(\w+)'", what)
    if id in ("pickles", "deep-copies") and lost:
        return LOST.format(lost[1])
    if id in ("group-options", "two-groups") and mixed_up:
        return BY_PLACE
    if id == "checkpoint-file" and what.startswith("w after"):  # it was read, but says too little
        return CLAUSES["resume"].mend
    if id == "distributed-checkpoint" and "unexpected keyword argument 'state_dict'" in what:
        return "torch's distributed code gives it by its name: def load_state_dict(self, state_dict)."
    if id == "layouts" and "refers to a single memory location" in what:  # an expanded p.grad is written into
        return CLAUSES["grad-kept"].mend
    return next((mend for clause, words, mend in OF_CLAIMS if clause == id and words in what), "")
